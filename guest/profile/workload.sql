-- What the image is compiled for: a bit of everything that programs ask of PostgreSQL, the frequent things more often.
-- Run by `record`; the result is thrown away.
\set ON_ERROR_STOP on
set client_min_messages = warning;

-- Rows in and out
create table customer (id bigserial primary key, name text not null, email text unique, born date, active bool default true, balance numeric(12,2) default 0);
create table orders (id serial primary key, customer_id bigint not null references customer, placed timestamptz not null default now(),
  status text check (status in ('new', 'paid', 'sent')), note varchar(80));
create table item (order_id int references orders on delete cascade, line int, product int, quantity int, price numeric(10,2), primary key (order_id, line));
create table reading (at timestamptz, sensor int, value float8, tags jsonb, label text, id uuid default gen_random_uuid());
insert into customer (name, email, born, balance)
  select 'Customer ' || i, 'c' || i || '@example.org', date '1950-01-01' + i % 20000, (i * 37 % 100000) / 100.0 from generate_series(1, 20000) i;
insert into orders (customer_id, placed, status, note)
  select 1 + i * 7919 % 20000, timestamptz '2026-01-01' + i * interval '7 minutes', (array['new', 'paid', 'sent'])[1 + i % 3], repeat('n', i % 60) from generate_series(1, 40000) i;
insert into item select o, l, (o * 31 + l) % 500, 1 + (o + l) % 9, ((o * 13 + l) % 10000) / 100.0 from generate_series(1, 40000) o, generate_series(1, 2) l;
insert into reading (at, sensor, value, tags, label)
  select timestamptz '2026-01-01' + i * interval '1 second', i % 200, sin(i) * 100, jsonb_build_object('site', i % 7, 'ok', i % 5 > 0, 'list', jsonb_build_array(i, i + 1)), 'name ' || md5(i::text)
  from generate_series(1, 150000) i;
\copy customer to customer.copy
create temp table loaded (like customer);
\copy loaded from customer.copy
\copy customer to customer.csv (format csv, header)
truncate loaded;
\copy loaded from customer.csv (format csv, header)
vacuum analyze;

-- Indexes
create index on reading (at);
create index on reading (label);
create index on reading using brin (at);
create index on reading using gin (tags jsonb_path_ops);
create index on orders (customer_id, placed desc);
create index on customer using hash (name);
create index on customer (lower(email));

-- Reports
\o /dev/null
select count(*), sum(sensor), avg(value), min(at), max(at) from reading \g \g \g
select count(*), sum(id), avg(customer_id), max(placed) from orders \g \g \g
select count(*), sum(balance * 1.19), avg(balance), stddev(balance) from customer \g
select sensor, count(*), avg(value), max(label) from reading group by sensor order by 2 desc, 1 \g \g
select count(*) from (select sensor, count(*), sum(sensor) from reading group by sensor) g \g \g
select count(*), sum(b.sensor) from reading a join reading b on b.at = a.at where b.sensor < 100 \g \g
select c.name, count(*), sum(i.quantity * i.price) from customer c join orders o on o.customer_id = c.id join item i on i.order_id = o.id
  where o.status <> 'new' and c.active group by c.id order by 3 desc limit 20 \g
set enable_hashjoin = off;
select count(*) from orders o join item i on i.order_id = o.id \g
set enable_mergejoin = off;
select count(*) from customer c join orders o on o.customer_id = c.id where c.id < 2000 \g
reset all;
select label from reading order by label offset 149999 \g
select * from reading order by value desc, at limit 100 \g \g
select count(*) from reading where label like '%abc%' \g \g
select count(*) from reading where label ~ 'a[0-9]+b' or label ilike '%ABC%' \g
select count(*) from reading where tags @> '{"site": 3}' and tags ->> 'ok' = 'true' \g
select count(distinct sensor), count(distinct label) from reading where at < '2026-01-01 12:00+00' \g
select date_trunc('hour', at) as hour, count(*), percentile_cont(0.5) within group (order by value) from reading group by 1 order by 1 \g
select id, sum(balance) over (order by id rows 10 preceding), rank() over (partition by born order by balance) from customer \g
with recursive t(n) as (select 1 union all select n + 1 from t where n < 30000) select sum(n), avg(n) from t \g
select array_agg(name order by id), string_agg(email, ',') from customer where id < 3000 \g
select to_char(placed, 'YYYY-MM-DD HH24:MI'), extract(dow from placed), age(placed) from orders limit 10000 \g
select status, case when id % 2 = 0 then 'even' else 'odd' end, coalesce(note, '-'), upper(note), length(note), substr(note, 2, 5) from orders limit 20000 \g
select count(*) from customer c where exists (select from orders o where o.customer_id = c.id and o.status = 'paid') \g
select count(*) from customer where id not in (select customer_id from orders where status = 'new') \g
select count(*) from orders where customer_id in (select id from customer where born < '1970-01-01') \g
select distinct on (customer_id) customer_id, placed, status from orders order by customer_id, placed desc \g
select sensor, value from reading where at between '2026-01-01 10:00+00' and '2026-01-01 11:00+00' \g
select a.* from generate_series(1, 100000) a where a % 7 = 3 \g
select json_agg(r) from (select * from orders limit 3000) r \g
select md5(label), label || sensor::text, hashtext(label) from reading limit 30000 \g

-- Changes
update reading set sensor = sensor + 1 where sensor < 50;
update customer set balance = balance + 1.5, active = not active where id % 3 = 0;
insert into customer (id, name, email) select i, 'again', 'c' || i || '@example.org' from generate_series(1, 5000) i
  on conflict (id) do update set name = excluded.name;
delete from orders where id % 5 = 0;
begin; savepoint a; update orders set status = 'sent'; rollback to a; commit;
merge into customer c using (select 5 as id, 'merged' as name) s on c.id = s.id when matched then update set name = s.name;
vacuum analyze;

-- Procedures and triggers
create function tally() returns trigger language plpgsql as $$
begin new.note := coalesce(new.note, '') || tg_op; if length(new.note) > 70 then new.note := 'long'; end if; return new; end $$;
create trigger tally before insert or update on orders for each row execute function tally();
insert into orders (customer_id, status, note) select 1 + i, 'new', 'x' from generate_series(1, 5000) i;
do $$ declare total numeric := 0; r record; begin
  for r in select id, balance from customer order by id limit 10000 loop total := total + r.balance; if r.id % 100 = 0 then perform 1 from orders where customer_id = r.id limit 1; end if; end loop;
  for i in 1..2000 loop begin if i % 10 = 0 then raise exception 'no %', i; end if; exception when others then total := total - 1; end; end loop;
end $$;
create function add_one(n int) returns int language sql immutable as 'select n + 1';
select sum(add_one(sensor)) from reading \g

-- The catalogs, as tools ask them
\d
\d orders
\d+ customer
\df
\dt *.*
\du
\l
select table_name, column_name, data_type from information_schema.columns \g
select * from information_schema.table_constraints \g
explain select * from customer c join orders o on o.customer_id = c.id where c.email = 'c5@example.org' \g
explain analyze select count(*) from reading \g
select * from pg_stat_activity \g
select * from pg_settings \g

-- Many small tables come and go in tests
do $$ begin for i in 1..60 loop
  execute format('create table t%s (id serial primary key, a text not null, b int references customer, unique (a, b))', i);
  execute format('insert into t%s (a, b) values (''x'', 1)', i);
  execute format('alter table t%s add column c jsonb default ''{}''', i);
  execute format('drop table t%s', i); end loop; end $$;
create schema other; create view other.v as select * from customer; create materialized view other.m as select * from other.v; drop schema other cascade;
create database second; drop database second;
