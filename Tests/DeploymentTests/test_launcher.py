"""The launcher: what it brings up and as whom, and that nothing outlives it but the data."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from testbed import REPOSITORY, Platform, SERVICES


class LauncherTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.platform = Platform()

    @classmethod
    def tearDownClass(cls):
        cls.platform.remove()

    def tearDown(self):
        if self.platform.process and self.platform.process.poll() is None:
            self.platform.stop()
        self.assertEqual(self.platform.wait_gone(), [])

    def test_what_runs_is_unprivileged_private_and_durable(self):
        platform = self.platform
        platform.launch()
        for pid in platform.pids - {platform.process.pid}:
            # make and the shell before the launcher may be root's; nothing the launcher started may.
            self.assertNotEqual(os.stat(f"/proc/{pid}").st_uid, 0, Path(f"/proc/{pid}/cmdline").read_text())
        folder = Path(os.readlink(platform.home / "socket"))
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        self.assertLess(len(str(folder)), 40)
        key = platform.home / "admin-key"
        self.assertRegex(key.read_text(), r"^mr_[A-Za-z0-9_-]{43}$")
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        console = platform.home / "console"
        self.assertEqual((console / "app.js").read_text(), (REPOSITORY / "Services/Console/app.js").read_text())
        self.assertTrue((console / "pages/overview.js").exists())
        served = Path(f"/proc/{platform.pid_of('analytics')}/environ").read_bytes().split(b"\0")
        self.assertIn(b"MILLRACE_CONSOLE=console", served)
        self.assertEqual(platform.sql("select current_user"), "postgres")
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            self.assertEqual(platform.sql(f"show {setting}"), "on", setting)
        role = "select rolsuper, rolcreaterole, rolcanlogin from pg_roles where rolname = 'millrace'"
        self.assertEqual(platform.sql(role), "f|t|t")
        for user, may in (("public", "f"), ("millrace", "t")):
            for function in ("pg_notify(text, text)", "set_config(text, text, boolean)", "pg_advisory_lock(bigint)"):
                self.assertEqual(platform.sql(f"select has_function_privilege('{user}', '{function}', 'execute')"), may)

    def limit_of_postgresql(self):
        limits = Path(f"/proc/{self.platform.pid_of('postgres')}/limits").read_text()
        return re.search(r"Max data size +(\S+) +(\S+)", limits).groups()

    def test_a_process_of_postgresql_has_a_limit_of_memory(self):
        platform = self.platform
        platform.launch()
        soft, hard = self.limit_of_postgresql()
        self.assertEqual(soft, hard)
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.assertTrue(384 << 20 <= int(soft) <= max(384 << 20, memory // 16), soft)
        platform.stop()
        self.assertEqual(platform.wait_gone(), [])
        platform.launch(MILLRACE_POSTGRES_PROCESS_MEMORY="512")
        self.assertEqual(self.limit_of_postgresql(), (str(512 << 20),) * 2)
        greedy = "perform array_agg(repeat('x', 10000 + g % 2)) from (select generate_series(1, 100000) g) s"
        self.assertEqual(platform.sql(f"do $$ begin {greedy}; raise exception 'it has a GB'; "
                                      "exception when out_of_memory then null; end $$; select 'refused'"), "refused")
        platform.stop()
        self.assertEqual(platform.wait_gone(), [])
        platform.launch(MILLRACE_POSTGRES_PROCESS_MEMORY="0")
        self.assertEqual(self.limit_of_postgresql(), ("unlimited", "unlimited"))

    def test_data_and_key_outlive_a_restart(self):
        platform = self.platform
        platform.launch()
        key = (platform.home / "admin-key").read_text()
        platform.sql("create table if not exists kept as select 42 as n")
        self.assertEqual(platform.stop(signal.SIGINT), 0)
        self.assertEqual(platform.wait_gone(), [])
        platform.launch()
        self.assertEqual(platform.sql("select n from kept"), "42")
        self.assertEqual((platform.home / "admin-key").read_text(), key)

    def test_a_killed_service_and_a_killed_postgresql_come_back(self):
        platform = self.platform
        platform.launch()
        for name in SERVICES:
            old = platform.pid_of(name)
            os.kill(old, signal.SIGKILL)
            platform.wait_until(lambda: platform.pid_of(name) not in (old, -1))
            port = platform.port + 1 + SERVICES.index(name)
            platform.wait_until(lambda: platform.request("/readyz", port=port)[0] == 200)
        os.kill(platform.pid_of("postgres"), signal.SIGKILL)
        platform.wait_until(lambda: platform.sql("select 1") == "1")
        self.assertIn("was killed by signal 9", platform.output)
        platform.pids |= platform.descendants()

    def test_a_launcher_that_is_killed_leaves_nothing(self):
        platform = self.platform
        platform.launch()
        platform.process.kill()
        platform.process.wait()
        self.assertEqual(platform.wait_gone(), [])
        platform.reader.join()
        platform.process.stdout.close()
        platform.launch()

    def test_a_supervisor_that_is_killed_is_reported_and_leaves_nothing(self):
        platform = self.platform
        platform.launch()
        os.kill(platform.find("s6-svscan"), signal.SIGKILL)
        self.assertEqual(platform.wait_end(), 1)
        self.assertIn("the supervisor (s6-svscan) has ended", platform.output)

    def test_another_postgresql_is_used_instead(self):
        theirs = self.platform
        theirs.launch()
        ours = Platform()
        self.addCleanup(ours.remove)
        folder = os.path.realpath(theirs.home / "socket")
        output = ours.launch(DATABASE_URL=f"postgresql://millrace@/millrace?host={folder}")
        self.assertNotIn("postgres", output)
        self.assertFalse((ours.home / "postgres").exists())
        self.assertEqual(ours.request("/readyz")[0], 200)
        self.assertEqual(ours.stop(), 0)
        self.assertEqual(ours.wait_gone(), [])
        self.assertEqual(theirs.sql("select 1"), "1")

    def test_make_run_ends_on_a_signal_to_make(self):
        platform = self.platform
        # To make alone, and to its whole group as a terminal does it.
        for number, send in ((signal.SIGTERM, os.kill), (signal.SIGINT, os.kill), (signal.SIGINT, os.killpg)):
            platform.launch(command=["make", "run", f"RUN_FLAGS=--binaries {platform.binaries}"])
            send(platform.process.pid, number)
            platform.wait_end()
            self.assertEqual(platform.wait_gone(), [])
            self.assertIn("stopped", platform.output)

    def test_a_port_in_use_is_named(self):
        platform = self.platform
        with socket.create_server(("127.0.0.1", platform.port + 3)):
            output = platform.launch()
        self.assertEqual(platform.process.wait(), 1)
        self.assertRegex(output, rf"port {platform.port + 3} \(store\) is in use by \S+, pid {os.getpid()}\n")
        platform.stop()

    def test_a_second_launcher_is_refused_and_stop_ends_the_first(self):
        platform = self.platform
        platform.launch()
        second = subprocess.run(
            ["deploy/local/run", "--binaries", platform.binaries], cwd=Path(__file__).parents[2], text=True,
            env=platform.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertRegex(second.stdout, r"is running already with this MILLRACE_HOME \(pid \d+\)")
        subprocess.run(["deploy/local/run", "--stop"], cwd=Path(__file__).parents[2], env=platform.environment(),
                       stdout=subprocess.DEVNULL, check=True)
        self.assertEqual(platform.stop(), 0)

    def test_leftovers_of_a_crash_do_not_stand_in_the_way(self):
        platform = self.platform
        platform.launch()
        platform.stop()
        half = platform.home / "postgres.new"
        half.mkdir()
        (half / "base").mkdir()
        stale = platform.home / "postgres/postmaster.pid"
        stale.write_text(f"{os.getpid()}\n/elsewhere\n")  # after a reboot the pid may be anybody's
        platform.give("postgres.new", "postgres.new/base", "postgres/postmaster.pid")
        output = platform.launch()
        self.assertIn("removing a stale postmaster.pid", output)
        self.assertEqual(platform.sql("select 1"), "1")

    def test_what_is_no_cluster_is_not_touched(self):
        platform = Platform()
        self.addCleanup(platform.remove)
        (platform.home / "postgres").mkdir(parents=True)
        platform.give("postgres", "lock")
        output = platform.launch()
        self.assertEqual(platform.process.wait(), 1)
        self.assertRegex(output, r"holds no PostgreSQL cluster; move it away")
        platform.stop()

    def test_settings_that_cannot_be_are_all_named(self):
        output = self.platform.launch(
            MILLRACE_PORT="80000", MILLRACE_START_TIMEOUT="soon", MILLRACE_TLS_KEY="key.pem",
            MILLRACE_POSTGRES_PROCESS_MEMORY="64", GATEWAY_TRUSTED_PROXIES="10.0.0.1/8, ::1")
        self.assertEqual(self.platform.process.wait(), 1)
        self.assertIn("MILLRACE_PORT=80000", output)
        self.assertIn("MILLRACE_START_TIMEOUT=soon", output)
        self.assertIn("MILLRACE_TLS_KEY is for a service", output)
        self.assertIn("MILLRACE_POSTGRES_PROCESS_MEMORY=64", output)
        self.assertIn("GATEWAY_TRUSTED_PROXIES: 10.0.0.1/8 is no address or range", output)
        self.platform.stop()

    def test_a_service_that_keeps_ending_is_reported_with_its_log(self):
        platform = Platform()
        self.addCleanup(platform.remove)
        broken = platform.binaries / "millrace-store"
        broken.write_text("#!/bin/sh\n[ \"$1\" = migrate ] || { echo no such luck; exit 7; }\n")
        broken.chmod(0o755)
        output = platform.launch()
        self.assertEqual(platform.process.wait(), 1)
        self.assertIn("store ended with status 7", output)
        self.assertIn("no such luck", output)
        platform.stop()
        self.assertEqual(platform.wait_gone(), [])

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "mounts a small file system")
    def test_a_full_disk_is_named(self):
        platform = Platform()
        self.addCleanup(platform.remove)
        platform.home.mkdir(parents=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", platform.home], check=False)
        if mounted.returncode != 0:
            self.skipTest("mounting is not permitted here")
        self.addCleanup(lambda: subprocess.run(["umount", platform.home], check=True))
        output = platform.launch()
        self.assertEqual(platform.process.wait(), 1)
        self.assertTrue(re.search(r"the disk that holds .+ is full: 8 MiB free", output), output)
        platform.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
