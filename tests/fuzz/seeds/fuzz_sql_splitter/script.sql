select 'it''s', E'\'', "a;b", $$do;not$$, $tag$ $$;$$ $tag$; -- a comment; with one
/* nested /* ; */ ; */ create function f() returns int begin atomic select 1; select 2; end;
copy t from stdin;
1	2
\.
insert into t values (U&'\0041', B'01', 1.5e3); select case when true then 1 end;
