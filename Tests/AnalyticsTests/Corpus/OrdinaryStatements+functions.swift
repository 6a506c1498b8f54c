extension OrdinaryStatements {
    static let functions = #"""

        select upper(region) as u, initcap(customer) as i, length(note) as l, reverse(customer) as r from orders order
        by id limit 10

        select left(customer, 2) as l, right(customer, 2) as r, lpad(qty::text, 4, '0') as p, repeat('ab', 2) as x,
        concat_ws('-', region, customer, null, qty) as c from orders order by id limit 10

        select split_part('a,b,c', ',', 2) as s, strpos('hello', 'l') as p, substr('hello', 2, 3) as x,
        substring('hello' from 2 for 2) as y, position('lo' in 'hello') as z, overlay('hello' placing 'XX' from 2) as o

        select trim(both 'x' from 'xxaxx') as t, ltrim('  a') as l, btrim('xyay', 'xy') as b, translate('abc', 'ab',
        'xy') as tr, replace('aXbX', 'X', '-') as rp, chr(228) as c, ascii('ä') as a, md5('x') as m

        select regexp_replace(customer, '[aeiou]', '*', 'g') as r, (regexp_match(customer, '^(.)(.)'))[2] as second
        from orders order by id limit 10

        select regexp_split_to_array('a1b22c', '\d+') as parts, regexp_count('banana', 'a') as n,
        regexp_substr('foo bar', '\w+$') as s, regexp_instr('abc', 'c') as i, regexp_like('Abc', '^a', 'i') as k

        select m[1] as digits from regexp_matches('a1b22c333', '(\d+)', 'g') as m

        select word, count(*) as n from orders, regexp_split_to_table(note, '\s+') as word group by word order by 2
        desc, 1

        select id from orders where note ~* 'FRAGILE' and note !~ 'x{3}' order by id limit 10

        select id from orders where customer like '_d%' or customer ilike 'B%' or region similar to '(north|south)'
        order by id limit 10

        select format('%s has %s', customer, qty) as f, quote_literal('it''s') as q, encode(sha256('a'::bytea), 'hex')
        as h from orders order by id limit 3

        select to_char(at, 'YYYY-MM-DD HH24:MI') as t, to_char(amount, 'FM9990.00') as a, to_date('2026-02-03',
        'YYYY-MM-DD') as d, to_number('12,5', '99G9') as n from orders order by id limit 5

        select date_trunc('hour', at) as h, date_bin('15 minutes', at, timestamptz '2026-01-01Z') as b, at::date as d,
        at + interval '1 month' as later from orders order by id limit 10

        select age(timestamptz '2026-03-01Z', timestamptz '2025-01-31Z') as a, justify_hours(interval '30 hours') as j,
        extract(epoch from interval '1 day 2 hours') as e, make_interval(days => 3, hours => 4) as m

        select at at time zone 'Europe/Berlin' as local, (at at time zone 'America/New_York')::date as day from orders
        order by id limit 5

        select make_date(2024, 2, 29) + 1 as d, date '2026-01-31' + interval '1 month' as m, make_timestamptz(2026, 1,
        2, 3, 4, 5.5, 'UTC') as t, isfinite(date 'infinity') as f, date_part('quarter', date '2026-08-01') as q

        select (date '2026-01-01', interval '10 days') overlaps (date '2026-01-05', interval '1 day') as o

        select d::date as day, count(o.id) as n from generate_series(timestamptz '2026-01-01Z', timestamptz
        '2026-01-14Z', interval '1 day') as d left join orders o on o.day = d::date group by 1 order by 1

        select g as n, g * g as square from generate_series(1, 10, 3) as g

        select current_date = now()::date as a, now() = transaction_timestamp() as b, current_timestamp is not null as
        c, localtimestamp is not null as d, random() between 0 and 1 as e

        select abs(-5) as a, ceil(1.2) as c, floor(-1.2) as f, round(2.567, 2) as r, trunc(2.567, 1) as t, mod(7, 3)
        as m, power(2, 10) as p, sqrt(2::float8) as s, ln(10::numeric) as l, log(100) as g, sign(-3) as si, gcd(12,
        18) as gc, lcm(4, 6) as lc, factorial(20) as fa, div(7, 2) as d

        select round(sin(1)::numeric, 12) as s, round(atan2(1, 2)::numeric, 12) as a, degrees(pi()) as d, cbrt(27) as c,
        exp(0) as e, width_bucket(5, array[1, 4, 8]) as w

        select 7 / 2 as whole, 7 / 2.0 as part, 7 % 4 as rest, 2 ^ 3 as p, 5 & 3 as a, 5 | 3 as o, 5 # 3 as x, ~5 as n,
        1 << 4 as l, |/ 25.0 as r, @ -3 as abs

        select amount::int8 as i, qty::text || '!' as t, '12'::numeric(6, 2) as n, cast('2026-01-01' as date) as d,
        1::bool as b, 'abc'::varchar(2) as v, 'a'::char(3) as c, 5::bit(4) as bits, '1.5e3'::float8 as f from orders
        order by id limit 3

        select coalesce(note, '-') as c, nullif(qty, 3) as n, greatest(1, qty, null) as g, least(qty, 4) as l
        from orders order by id limit 10

        select id from orders where note is null and paid is true and qty between symmetric 9 and 2 and region is
        distinct from 'east' order by id limit 10

        select num_nulls(note, qty) as n, note is null as i, paid is not true as p, qty not in (1, 2) as q from orders
        order by id limit 10

        select customer collate "C" as c from orders order by customer collate "C" desc, id limit 5

        select array[1, 2] || 3 as a, array_append(array['x'], 'y') as b, (array[5, 6, 7])[2:3] as s,
        cardinality(array[1, 2]) as c, array_position(array['a', 'b'], 'b') as p, array_to_string(array[1, null, 3],
        ',', '-') as t, array_remove(array[1, 2, 1], 1) as r, 2 = any (array[1, 2]) as y, array[1, 2] && array[2, 9]
        as o

        select u.a, u.b from unnest(array[1, 2, 3], array['x', 'y']) as u (a, b)

        select e, place from unnest(array['c', 'a', 'b']) with ordinality as u (e, place) order by place desc

        select * from rows from (generate_series(1, 3), unnest(array['a', 'b'])) as r (n, word)

        select array(select id from orders order by id limit 5) as ids, array_length(array[[1, 2], [3, 4]], 2) as l

        select string_to_array('a,b,,c', ',') as s, t.part from string_to_table('x-y', '-') as t (part) order by part

        select i, (array['a', 'b', 'c'])[i] as v from generate_subscripts(array['a', 'b', 'c'], 1) as i order by i

        select int8range(1, 10) @> 5::int8 as c, daterange('2026-01-01', '2026-02-01') && daterange('2026-01-15',
        null) as o, upper(int8range(1, 10)) as u, isempty(int8range(1, 1)) as e, numrange(1, 5) * numrange(3, 9) as i

        select inet '10.1.2.3' << inet '10.0.0.0/8' as inside, host(inet '10.1.2.3/24') as h, network(inet
        '10.1.2.3/24') as n, masklen('10.0.0.0/8') as m

        select encode('\x00ff'::bytea, 'base64') as e, decode('/w==', 'base64') as d, octet_length('ä') as o,
        bit_length('a') as b, get_byte('\xff'::bytea, 0) as g, to_hex(255) as h

        select (row (1, 'a')) = (row (1, 'a')) as same, row (1, 2) < row (1, 3) as less

        """#

    static let documents = #"""

        select doc ->> 'kind' as kind, count(*) as n from orders group by 1 order by 1

        select doc -> 'size' -> 'w' as w, doc #>> '{size,h}' as h, doc #> '{tags,0}' as t from orders order by id
        limit 10

        select id from orders where doc @> '{"kind": "box"}' and doc ? 'tags' and doc ?| array['size', 'none'] order
        by id limit 10

        select jsonb_path_query_array(doc, '$.tags[*] ? (@ like_regex "^r")') as t from orders order by id limit 10

        select id, jsonb_path_query_first(doc, '$.size.w ? (@ > 3)') as w from orders where jsonb_path_exists(doc,
        '$.size.w ? (@ > $least)', '{"least": 4}') order by id limit 10

        select id from orders where doc @@ '$.size.w > 5' and doc @? '$.tags[0]' order by id limit 10

        select key, count(*) as n from orders, jsonb_object_keys(doc) as key group by key order by key

        select e.key, jsonb_typeof(e.value) as type, count(*) as n from orders o, jsonb_each(o.doc) as e group by 1, 2
        order by 1, 2

        select jsonb_set(doc, '{size,w}', '99') ->> 'size' as s, doc - 'tags' as d, doc || '{"x": 1}' as x,
        jsonb_array_length(doc -> 'tags') as n from orders order by id limit 5

        select t.a, t.b from jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') as t (a int8, b text) order by t.a

        select r.w, r.h from orders o, jsonb_to_record(o.doc -> 'size') as r (w int8, h numeric) order by o.id limit 5

        select jsonb_build_object('id', id, 'list', jsonb_build_array(qty, region)) as o, to_jsonb(amount) as a
        from orders order by id limit 5

        select jsonb_strip_nulls('{"a": null, "b": 1}') as s, jsonb_pretty('{"a":1}') as p, '{"a": [1, 2]}'::jsonb =
        '{"a": [1,2]}'::jsonb as e

        select row_to_json(c) as j from customers c order by c.name

        select json_array_elements('[1, {"a": null}]') as e

        select (doc -> 'size' ->> 'w')::int8 + 1 as w, jsonb_extract_path_text(doc, 'size', 'h') as h from orders
        order by id limit 5
        """#
}
