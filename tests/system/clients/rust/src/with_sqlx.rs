//! Scenarios for sqlx. It has no cancel requests of its own, and no pipelining.

use chrono::{DateTime, Utc};
use futures_util::{future, TryStreamExt};
use serde_json::{json, Value};
use sqlx::postgres::{PgConnection, PgListener, PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::{Connection, Executor, Row};
use std::time::Duration;
use uuid::Uuid;

use crate::scenario::{report, same, url, Outcome};

fn sqlstate(error: sqlx::Error) -> String {
    error.as_database_error().and_then(|e| e.code()).map(|code| code.to_string()).unwrap_or_else(|| error.to_string())
}

async fn typed_round_trip(pool: &PgPool) -> Outcome {
    pool.execute("create table typed (t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool, n numeric)").await?;
    let moment: DateTime<Utc> = "2026-02-28T23:59:59.123456Z".parse()?;
    let document: Value = json!({"a": [1, 2.5, null, "ü"], "b": {"c": true}});
    let all: Vec<u8> = (0..=255).collect();
    let name: Uuid = "01234567-89ab-cdef-0123-456789abcdef".parse()?;
    let array = vec![Some(1i32), None, Some(3)];
    sqlx::query("insert into typed values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric)")
        .bind(moment)
        .bind(&document)
        .bind(&all)
        .bind(name)
        .bind(&array)
        .bind(None::<String>)
        .bind(0.1f64)
        .bind(true)
        .bind("12345678901234567890.123456789")
        .execute(pool)
        .await?;
    let row = sqlx::query("select t, j, b, u, a, x, f, o, n::text from typed").fetch_one(pool).await?;
    same(row.try_get::<DateTime<Utc>, _>(0)?, moment)?;
    same(row.try_get::<Value, _>(1)?, document)?;
    same(row.try_get::<Vec<u8>, _>(2)?, all)?;
    same(row.try_get::<Uuid, _>(3)?, name)?;
    same(row.try_get::<Vec<Option<i32>>, _>(4)?, array)?;
    same(row.try_get::<Option<String>, _>(5)?, None)?;
    same(row.try_get::<f64, _>(6)?, 0.1)?;
    same(row.try_get::<bool, _>(7)?, true)?;
    same(row.try_get::<String, _>(8)?, "12345678901234567890.123456789".to_string())
}

async fn prepared_statements(pool: &PgPool) -> Outcome {
    let mut connection = pool.acquire().await?;
    for n in 0..100i32 {
        // Prepared once a connection, and kept by its text.
        same(sqlx::query_scalar("select $1::int * 2").bind(n).fetch_one(&mut *connection).await?, n * 2)?;
    }
    let prepared: i64 = sqlx::query_scalar("select count(*) from pg_prepared_statements where statement = 'select $1::int * 2'")
        .fetch_one(&mut *connection)
        .await?;
    same(prepared, 1)
}

async fn transaction_rollback(pool: &PgPool) -> Outcome {
    pool.execute("create table tx (n int)").await?;
    let mut transaction = pool.begin().await?;
    sqlx::query("insert into tx values (1)").execute(&mut *transaction).await?;
    drop(transaction); // rolls back
    let mut transaction = pool.begin().await?;
    sqlx::query("insert into tx values (2)").execute(&mut *transaction).await?;
    transaction.commit().await?;
    same(sqlx::query_scalar::<_, Vec<i32>>("select array_agg(n) from tx").fetch_one(pool).await?, vec![2])
}

async fn unique_violation(pool: &PgPool) -> Outcome {
    pool.execute("create table once (n int primary key); insert into once values (1)").await?;
    let mut connection = pool.acquire().await?;
    let error = sqlx::query("insert into once values ($1)").bind(1i32).execute(&mut *connection).await.err().ok_or("no error")?;
    same(sqlstate(error), "23505".to_string())?;
    same(sqlx::query_scalar("select 1").fetch_one(&mut *connection).await?, 1i32)
}

async fn copy_in_out(pool: &PgPool) -> Outcome {
    pool.execute("create table copied (n int, x text)").await?;
    let lines: String = (0..10000).map(|n| format!("{n}\trow {n}\n")).collect();
    let mut sink = pool.copy_in_raw("copy copied from stdin").await?;
    for chunk in lines.as_bytes().chunks(10000) {
        sink.send(chunk).await?;
    }
    same(sink.finish().await?, 10000)?;
    let chunks: Vec<_> = pool.copy_out_raw("copy copied to stdout").await?.try_collect().await?;
    same(String::from_utf8(chunks.concat())?, lines)
}

async fn listen_notify(pool: &PgPool) -> Outcome {
    let mut listener = PgListener::connect(&url()).await?;
    listener.listen("ch").await?;
    pool.execute("notify ch, 'hi'").await?;
    let notification = tokio::time::timeout(Duration::from_secs(5), listener.recv()).await??;
    same(notification.payload(), "hi")
}

async fn concurrent_sessions(pool: &PgPool) -> Outcome {
    pool.execute("create table counter (n int); insert into counter values (0)").await?;
    let work = || async {
        let mut mine = PgConnection::connect(&url()).await?;
        for _ in 0..20 {
            sqlx::query("update counter set n = n + 1").execute(&mut mine).await?;
        }
        mine.close().await
    };
    future::try_join_all((0..8).map(|_| work())).await?;
    same(sqlx::query_scalar("select n from counter").fetch_one(pool).await?, 160i32)
}

pub async fn run() -> Outcome {
    let pool = PgPoolOptions::new().max_connections(4).connect(&url()).await?;
    report("typed_round_trip", typed_round_trip(&pool)).await;
    report("prepared_statements", prepared_statements(&pool)).await;
    report("transaction_rollback", transaction_rollback(&pool)).await;
    report("unique_violation", unique_violation(&pool)).await;
    report("copy_in_out", copy_in_out(&pool)).await;
    report("listen_notify", listen_notify(&pool)).await;
    report("concurrent_sessions", concurrent_sessions(&pool)).await;
    pool.close().await;
    Ok(())
}
