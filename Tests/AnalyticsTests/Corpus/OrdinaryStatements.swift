/// What analysts ask, over the datasets of `OrdinaryCorpusTests`: it has to pass, and to answer as PostgreSQL does. One
/// statement a paragraph, each with an order of its own.
enum OrdinaryStatements {
    static let all = text.split(separator: "\n\n").map(String.init)

    private static let text = windows + joinsAndSets + groups + functions + documents

    private static let windows = #"""
        select id, row_number() over (order by at, id) as n from orders order by id limit 20

        select id, rank() over (partition by region order by qty desc) as r, dense_rank() over (partition by region
        order by qty desc) as d from orders order by id limit 50

        select id, sum(amount) over (partition by customer order by at, id rows between unbounded preceding and current
        row) as running from orders order by id limit 50

        select id, avg(qty) over (order by id rows between 3 preceding and 3 following) as smooth from orders order by
        id

        select id, sum(qty) over (order by day range between interval '2 days' preceding and current row) as recent
        from orders order by id limit 100

        select id, count(*) over (order by qty groups between 1 preceding and 1 following) as near from orders order
        by id

        select id, sum(qty) over (order by id rows between 2 preceding and 2 following exclude current row) as others
        from orders order by id limit 40

        select id, sum(qty) over (order by qty, id rows 5 preceding exclude ties) as s from orders order by id limit 40

        select id, lag(amount) over w as before, lead(amount, 2, 0) over w as later from orders
        window w as (partition by customer order by at, id) order by id limit 60

        select id, first_value(id) over w as f, last_value(id) over w as l, nth_value(id, 2) over w as second from
        orders window w as (partition by region order by id rows between unbounded preceding and unbounded following)
        order by id limit 60

        select id, ntile(4) over (order by amount, id) as quarter, percent_rank() over (order by qty) as p,
        cume_dist() over (order by qty) as c from orders order by id limit 60

        select day, sum(n) over (order by day) as total from (select day, count(*) as n from orders group by day) d
        order by day

        select region, customer, sum(amount) as total, rank() over (partition by region order by sum(amount) desc) as r
        from orders group by region, customer order by region, r, customer

        select id, amount - lag(amount) over (order by id) as change, round(100.0 * amount / sum(amount) over (), 4) as
        share from orders order by id limit 30

        select * from (select o.id, o.region, row_number() over (partition by region order by amount desc, id) as place
        from orders o) t where place <= 3 order by region, place

        select id, max(qty) filter (where paid) over (order by id rows 10 preceding) as m from orders order by id
        limit 40

        select id, w.total from (select id, sum(qty) over (partition by region) as total from orders) w
        where w.total > 10 order by id limit 10

        select distinct region, count(*) over (partition by region) as n from orders order by region

        """#
}

extension OrdinaryStatements {
    private static let joinsAndSets = #"""

        select c.name, count(o.id) as orders from customers c left join orders o on o.customer = c.name group by c.name
        order by c.name

        select o.id, c.city from orders o join customers c on c.name = o.customer where c.city like 'L%' order by o.id
        limit 10

        select c.name, o.id from customers c full join orders o on o.customer = c.name and o.qty > 8
        order by c.name, o.id limit 40

        select name, city, id from customers right join (select customer as name, id from orders) o using (name)
        order by id limit 10

        select count(*) as n from orders natural join (select 3 as qty) q

        select a.name as a, b.name as b from customers a cross join customers b where a.name < b.name order by 1, 2

        select a.id, b.id as next from orders a join orders b on b.id = a.id + 1 and b.region = a.region order by 1
        limit 20

        select c.name, last.id, last.amount from customers c cross join lateral (select id, amount from orders o
        where o.customer = c.name order by at desc, id desc limit 2) last order by c.name, last.id

        select c.name, s.total from customers c left join lateral (select sum(amount) as total from orders
        where customer = c.name) s on true order by c.name

        select o.id, t.tag, t.place from orders o, lateral jsonb_array_elements_text(o.doc -> 'tags') with ordinality
        as t (tag, place) order by o.id, t.place limit 30

        select name from customers where exists (select 1 from orders where customer = name and qty > 9) order by name

        select name from customers c where not exists (select from orders o where o.customer = c.name) order by 1

        select id from orders where customer in (select name from customers where city = 'Lagos') order by id limit 10

        select id from orders where amount > all (select amount from orders where region = 'east' and amount is not
        null) order by id

        select id from orders where amount = any (select max(amount) from orders group by region) order by id

        select id, (select city from customers c where c.name = o.customer) as city from orders o order by id limit 10

        select id, amount from orders o where amount > (select avg(amount) from orders i where i.region = o.region)
        order by id limit 25

        select id from orders where (region, paid) in (select 'north', true) order by id limit 10

        select region from orders where qty > 5 union select city from customers order by 1

        select region from orders union all select region from orders where paid order by 1 limit 30

        select customer from orders intersect select name from customers order by 1

        select name from customers except select customer from orders order by 1

        select qty from orders except all select 3 order by 1 limit 10

        (select id from orders order by id limit 2) union all (select id from orders order by id desc limit 2) order
        by 1

        values (1, 'a'), (2, 'b'), (3, null)

        select v.n * 2 as twice, v.word from (values (1, 'one'), (2, 'two')) as v (n, word) order by 1

        table customers order by name

        select distinct on (region) region, id, amount from orders order by region, amount desc nulls last, id

        select id from orders order by qty desc, id fetch first 5 rows only

        select qty from orders order by qty desc fetch first 3 rows with ties

        select id from orders order by id offset 10 limit 5

        with t as (select * from orders where paid) select region, count(*) as n from t group by region order by region

        with a as materialized (select id from orders where id < 10), b as not materialized (select id from a where
        id > 3) select count(*) as n from b

        with recursive n (i) as (select 1 union all select i + 1 from n where i < 100) select sum(i) as total from n

        with recursive fib (a, b) as (values (0::numeric, 1::numeric) union all select b, a + b from fib
        where b < 1e40) select max(a) as greatest, count(*) as steps from fib

        with recursive tree as (select id, id / 2 as parent, 0 as depth from orders where id = 1 union all
        select o.id, o.id / 2, t.depth + 1 from orders o join tree t on o.id / 2 = t.id where o.id > 1 and t.depth < 4)
        select depth, count(*) as n, min(id) as first from tree group by depth order by depth

        with recursive walk (node) as (select 1 union all select node * 2 + g from walk, generate_series(0, 1) g
        where node < 8) search depth first by node set path select node from walk order by path

        with recursive walk (node) as (select 1 union all select (node * 2) % 5 from walk) cycle node set looped using
        path select node, looped from walk order by node, looped

        with o as (select region, sum(amount) as s from orders group by region), t as (select sum(s) as all_of from o)
        select region, round(s / all_of, 6) as share from o, t order by region

        select count(*) as n from orders tablesample system (100)

        select count(*) as n from orders tablesample bernoulli (100) repeatable (7)

        """#

    private static let groups = #"""

        select region, count(*) as n, sum(amount) as s, avg(amount) as a, min(at) as first, max(at) as last from orders
        group by region order by region

        select region, customer, count(*) as n from orders group by grouping sets ((region), (customer), ())
        order by region nulls last, customer nulls last, n

        select region, paid, sum(qty) as q from orders group by cube (region, paid) order by 1 nulls last, 2 nulls
        last, 3

        select region, customer, sum(qty) as q, grouping(region, customer) as g from orders
        group by rollup (region, customer) order by g, region nulls last, customer nulls last

        select region, paid, day, count(*) as n from orders group by region, grouping sets ((paid), (day))
        order by region, paid nulls last, day nulls last

        select region, count(*) filter (where paid) as paid, count(*) filter (where not paid) as open from orders
        group by region order by region

        select region, percentile_cont(0.5) within group (order by amount) as median from orders group by region order
        by 1

        select percentile_disc(array[0.1, 0.5, 0.9]) within group (order by qty) as q from orders

        select percentile_cont(array[0.25, 0.75]) within group (order by ratio) as q from orders

        select mode() within group (order by region) as m from orders

        select rank(5) within group (order by qty) as r, dense_rank(5) within group (order by qty) as d,
        percent_rank(5) within group (order by qty) as p, cume_dist(5) within group (order by qty) as c from orders

        select region, string_agg(customer, ', ' order by id) as who from orders where id <= 30 group by region order
        by 1

        select string_agg(distinct region, '|' order by region desc) as r from orders

        select region, array_agg(id order by id desc) as ids from orders where id < 20 group by region order by region

        select count(distinct customer) as c, count(distinct (region, paid)) as pairs from orders

        select stddev(qty) as s, stddev_pop(qty) as p, variance(qty) as v, var_pop(qty) as vp from orders

        select round(corr(qty, amount)::numeric, 9) as c, regr_count(amount, qty) as n,
        round(regr_slope(amount, qty)::numeric, 9) as s, round(covar_pop(amount, qty)::numeric, 9) as v from orders

        select bool_and(paid) as a, bool_or(paid) as o, every(qty > 0) as e, bit_or(qty) as b, bit_xor(qty) as x from
        orders

        select customer, sum(amount) as total from orders group by customer having sum(amount) > 1000 and count(*) > 5
        order by total desc, customer

        select date_trunc('week', at) as week, count(*) as n from orders group by 1 order by 1

        select extract(isodow from at) as dow, count(*) as n from orders group by 1 order by 1

        select width_bucket(amount, 0, 1000, 5) as bucket, count(*) as n, min(amount) as least from orders
        group by bucket order by bucket nulls last

        select case when qty < 3 then 'few' when qty < 7 then 'some' else 'many' end as size, count(*) as n from orders
        group by size order by size

        select region, jsonb_object_agg(customer, qty order by id) as o from orders where id <= 12 group by region
        order by 1

        select json_agg(json_build_object('id', id, 'qty', qty) order by id) as j from orders where id <= 3

        select jsonb_agg(distinct region order by region) as r from orders

        select range_agg(int8range(id, id + 1)) as ranges from orders where id < 5 or id between 8 and 9

        select region, sum(sum(qty)) over (order by region) as cumulated from orders group by region order by region

        select day, region, count(*) as n from orders group by day, region order by n desc, day, region limit 7

        select count(*) as all_rows, count(note) as noted, count(*) - count(note) as silent from orders

        select max(length(note)) as longest, min(note) as first, sum(qty)::float8 / count(*) as mean from orders

        """#
}
