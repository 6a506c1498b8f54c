-- Columns whose names look the same. Locks: replaces one function.

-- As in migration 0001; and names that are canonically equivalent (one `é` as one character, another as two) are one
-- column's: the first that came. So is a name that comes twice. Values under the others find no column, and go where
-- the dataset's settings say.
create or replace function millrace.agree_columns(dataset int8, names text[], types text[], limit_inferred int4)
returns table (name text, type text, nullable bool, state text, declared bool)
language plpgsql as $$
#variable_conflict use_column
declare
    inferred int4;
    last     int4;
    fresh    int4;
begin
    perform 1 from millrace.dataset d where d.id = dataset for no key update;
    select count(*) filter (where not c.declared), coalesce(max(c.ordinal), 0) into inferred, last
        from millrace.dataset_column c where c.dataset_id = dataset;
    with given as (
        select distinct on (normalize(n.name)) n.name, n.type, n.ordinality
        from unnest(names, types) with ordinality as n (name, type, ordinality)
        order by normalize(n.name), n.ordinality
    ), wanted as (
        select g.name, g.type, row_number() over (order by g.ordinality) as position
        from given g
        where not exists (select 1 from millrace.dataset_column c
            where c.dataset_id = dataset and normalize(c.name) = normalize(g.name))
    ), added as (
        insert into millrace.dataset_column (dataset_id, ordinal, name, type, since_version)
        select dataset, last + w.position, w.name, w.type, d.schema_version + 1
        from wanted w, millrace.dataset d
        where d.id = dataset and w.position <= limit_inferred - inferred
        returning 1
    )
    select count(*) into fresh from added;
    if fresh > 0 then
        update millrace.dataset d set schema_version = d.schema_version + 1, updated_at = now() where d.id = dataset;
    end if;
    return query select c.name, c.type, c.nullable, c.state, c.declared
        from millrace.dataset_column c where c.dataset_id = dataset order by c.ordinal;
end $$;
