// The one list of migrations: each file of Shared/Migrations/SQL is embedded here and named in the table, in order.
#include "CMigrationFiles.h"

static const uint8_t catalog_0001[] = {
#embed "../Migrations/SQL/0001_catalog.sql"
};

static const uint8_t queue_0002[] = {
#embed "../Migrations/SQL/0002_queue.sql"
};

static const uint8_t workspace_secret_0003[] = {
#embed "../Migrations/SQL/0003_workspace_secret.sql"
};

static const uint8_t landing_maintenance_0004[] = {
#embed "../Migrations/SQL/0004_landing_maintenance.sql"
};

static const uint8_t landing_retention_0005[] = {
#embed "../Migrations/SQL/0005_landing_retention.sql"
};

static const uint8_t source_settings_0006[] = {
#embed "../Migrations/SQL/0006_source_settings.sql"
};

static const uint8_t ingest_stream_0007[] = {
#embed "../Migrations/SQL/0007_ingest_stream.sql"
};

static const uint8_t queue_features_0008[] = {
#embed "../Migrations/SQL/0008_queue_features.sql"
};

static const uint8_t queue_retention_0009[] = {
#embed "../Migrations/SQL/0009_queue_retention.sql"
};

static const uint8_t runs_0010[] = {
#embed "../Migrations/SQL/0010_runs.sql"
};

static const uint8_t schedules_0011[] = {
#embed "../Migrations/SQL/0011_schedules.sql"
};

static const uint8_t steps_0012[] = {
#embed "../Migrations/SQL/0012_steps.sql"
};

static const uint8_t outputs_0013[] = {
#embed "../Migrations/SQL/0013_outputs.sql"
};

static const uint8_t dataset_modes_0014[] = {
#embed "../Migrations/SQL/0014_dataset_modes.sql"
};

static const uint8_t queue_speed_0016[] = {
#embed "../Migrations/SQL/0016_queue_speed.sql"
};

static const uint8_t table_runs_0017[] = {
#embed "../Migrations/SQL/0017_table_runs.sql"
};

static const uint8_t heal_0018[] = {
#embed "../Migrations/SQL/0018_heal.sql"
};

static const uint8_t dry_runs_0019[] = {
#embed "../Migrations/SQL/0019_dry_runs.sql"
};

static const uint8_t column_names_0020[] = {
#embed "../Migrations/SQL/0020_column_names.sql"
};

static const uint8_t endpoints_0021[] = {
#embed "../Migrations/SQL/0021_endpoints.sql"
};

static const uint8_t queue_cancel_0022[] = {
#embed "../Migrations/SQL/0022_queue_cancel.sql"
};

static const uint8_t time_partitions_0025[] = {
#embed "../Migrations/SQL/0025_time_partitions.sql"
};

static const uint8_t erasure_0026[] = {
#embed "../Migrations/SQL/0026_erasure.sql"
};

static const uint8_t sessions_0027[] = {
#embed "../Migrations/SQL/0027_sessions.sql"
};

static const uint8_t dashboards_0028[] = {
#embed "../Migrations/SQL/0028_dashboards.sql"
};

static const uint8_t queue_settle_0030[] = {
#embed "../Migrations/SQL/0030_queue_settle.sql"
};

static const uint8_t rollups_0031[] = {
#embed "../Migrations/SQL/0031_rollups.sql"
};

static const uint8_t rollup_rounds_0032[] = {
#embed "../Migrations/SQL/0032_rollup_rounds.sql"
};

static const uint8_t traces_0035[] = {
#embed "../Migrations/SQL/0035_traces.sql"
};

static const uint8_t queue_dead_entries_0036[] = {
#embed "../Migrations/SQL/0036_queue_dead_entries.sql"
};

static const uint8_t access_0037[] = {
#embed "../Migrations/SQL/0037_access.sql"
};

static const uint8_t key_use_0038[] = {
#embed "../Migrations/SQL/0038_key_use.sql"
};

static const uint8_t clock_set_back_0039[] = {
#embed "../Migrations/SQL/0039_clock_set_back.sql"
};

static const uint8_t erasure_gaps_0040[] = {
#embed "../Migrations/SQL/0040_erasure_gaps.sql"
};

static const uint8_t slice_heals_0041[] = {
#embed "../Migrations/SQL/0041_slice_heals.sql"
};

static const uint8_t rollup_pace_0043[] = {
#embed "../Migrations/SQL/0043_rollup_pace.sql"
};

static const uint8_t slice_erasure_0044[] = {
#embed "../Migrations/SQL/0044_slice_erasure.sql"
};

static const uint8_t stand_in_0046[] = {
#embed "../Migrations/SQL/0046_stand_in.sql"
};

static const uint8_t queue_ends_0047[] = {
#embed "../Migrations/SQL/0047_queue_ends.sql"
};

static const uint8_t rollup_metrics_0048[] = {
#embed "../Migrations/SQL/0048_rollup_metrics.sql"
};

static const uint8_t routed_rebuilds_0049[] = {
#embed "../Migrations/SQL/0049_routed_rebuilds.sql"
};

static const uint8_t queue_locks_0051[] = {
#embed "../Migrations/SQL/0051_queue_locks.sql"
};

static const uint8_t batch_indexes_0052[] = {
#embed "../Migrations/SQL/0052_batch_indexes.sql"
};

static const uint8_t lease_storage_0054[] = {
#embed "../Migrations/SQL/0054_lease_storage.sql"
};

static const uint8_t erasure_subject_0056[] = {
#embed "../Migrations/SQL/0056_erasure_subject.sql"
};

static const struct millrace_migration_file files[] = {
    {"0001_catalog.sql", catalog_0001, sizeof catalog_0001},
    {"0002_queue.sql", queue_0002, sizeof queue_0002},
    {"0003_workspace_secret.sql", workspace_secret_0003, sizeof workspace_secret_0003},
    {"0004_landing_maintenance.sql", landing_maintenance_0004, sizeof landing_maintenance_0004},
    {"0005_landing_retention.sql", landing_retention_0005, sizeof landing_retention_0005},
    {"0006_source_settings.sql", source_settings_0006, sizeof source_settings_0006},
    {"0007_ingest_stream.sql", ingest_stream_0007, sizeof ingest_stream_0007},
    {"0008_queue_features.sql", queue_features_0008, sizeof queue_features_0008},
    {"0009_queue_retention.sql", queue_retention_0009, sizeof queue_retention_0009},
    {"0010_runs.sql", runs_0010, sizeof runs_0010},
    {"0011_schedules.sql", schedules_0011, sizeof schedules_0011},
    {"0012_steps.sql", steps_0012, sizeof steps_0012},
    {"0013_outputs.sql", outputs_0013, sizeof outputs_0013},
    {"0014_dataset_modes.sql", dataset_modes_0014, sizeof dataset_modes_0014},
    {"0016_queue_speed.sql", queue_speed_0016, sizeof queue_speed_0016},
    {"0017_table_runs.sql", table_runs_0017, sizeof table_runs_0017},
    {"0018_heal.sql", heal_0018, sizeof heal_0018},
    {"0019_dry_runs.sql", dry_runs_0019, sizeof dry_runs_0019},
    {"0020_column_names.sql", column_names_0020, sizeof column_names_0020},
    {"0021_endpoints.sql", endpoints_0021, sizeof endpoints_0021},
    {"0022_queue_cancel.sql", queue_cancel_0022, sizeof queue_cancel_0022},
    {"0025_time_partitions.sql", time_partitions_0025, sizeof time_partitions_0025},
    {"0026_erasure.sql", erasure_0026, sizeof erasure_0026},
    {"0027_sessions.sql", sessions_0027, sizeof sessions_0027},
    {"0028_dashboards.sql", dashboards_0028, sizeof dashboards_0028},
    {"0030_queue_settle.sql", queue_settle_0030, sizeof queue_settle_0030},
    {"0031_rollups.sql", rollups_0031, sizeof rollups_0031},
    {"0032_rollup_rounds.sql", rollup_rounds_0032, sizeof rollup_rounds_0032},
    {"0035_traces.sql", traces_0035, sizeof traces_0035},
    {"0036_queue_dead_entries.sql", queue_dead_entries_0036, sizeof queue_dead_entries_0036},
    {"0037_access.sql", access_0037, sizeof access_0037},
    {"0038_key_use.sql", key_use_0038, sizeof key_use_0038},
    {"0039_clock_set_back.sql", clock_set_back_0039, sizeof clock_set_back_0039},
    {"0040_erasure_gaps.sql", erasure_gaps_0040, sizeof erasure_gaps_0040},
    {"0041_slice_heals.sql", slice_heals_0041, sizeof slice_heals_0041},
    {"0043_rollup_pace.sql", rollup_pace_0043, sizeof rollup_pace_0043},
    {"0044_slice_erasure.sql", slice_erasure_0044, sizeof slice_erasure_0044},
    {"0046_stand_in.sql", stand_in_0046, sizeof stand_in_0046},
    {"0047_queue_ends.sql", queue_ends_0047, sizeof queue_ends_0047},
    {"0048_rollup_metrics.sql", rollup_metrics_0048, sizeof rollup_metrics_0048},
    {"0049_routed_rebuilds.sql", routed_rebuilds_0049, sizeof routed_rebuilds_0049},
    {"0051_queue_locks.sql", queue_locks_0051, sizeof queue_locks_0051},
    {"0052_batch_indexes.sql", batch_indexes_0052, sizeof batch_indexes_0052},
    {"0054_lease_storage.sql", lease_storage_0054, sizeof lease_storage_0054},
    {"0056_erasure_subject.sql", erasure_subject_0056, sizeof erasure_subject_0056},
};

size_t millrace_migration_count(void) {
    return sizeof files / sizeof files[0];
}

struct millrace_migration_file millrace_migration_at(size_t index) {
    return files[index];
}
