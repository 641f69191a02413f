//! Scenarios for tokio-postgres.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{future, pin_mut, SinkExt, StreamExt, TryStreamExt};
use serde_json::{json, Value};
use std::time::Duration;
use tokio_postgres::{AsyncMessage, Client, NoTls};
use uuid::Uuid;

use crate::scenario::{report, same, url, Outcome};

async fn connect() -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn sqlstate(error: tokio_postgres::Error) -> String {
    error.code().map(|code| code.code().to_string()).unwrap_or_else(|| error.to_string())
}

async fn typed_round_trip(client: &Client) -> Outcome {
    client.batch_execute("create table typed (t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool, n numeric)").await?;
    let moment: DateTime<Utc> = "2026-02-28T23:59:59.123456Z".parse()?;
    let document: Value = json!({"a": [1, 2.5, null, "ü"], "b": {"c": true}});
    let all: Vec<u8> = (0..=255).collect();
    let name: Uuid = "01234567-89ab-cdef-0123-456789abcdef".parse()?;
    let array = vec![Some(1i32), None, Some(3)];
    client
        .execute(
            "insert into typed values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric)",
            &[&moment, &document, &all, &name, &array, &None::<String>, &0.1f64, &true, &"12345678901234567890.123456789"],
        )
        .await?;
    let row = client.query_one("select t, j, b, u, a, x, f, o, n::text from typed", &[]).await?;
    same(row.get::<_, DateTime<Utc>>(0), moment)?;
    same(row.get::<_, Value>(1), document)?;
    same(row.get::<_, Vec<u8>>(2), all)?;
    same(row.get::<_, Uuid>(3), name)?;
    same(row.get::<_, Vec<Option<i32>>>(4), array)?;
    same(row.get::<_, Option<String>>(5), None)?;
    same(row.get::<_, f64>(6), 0.1)?;
    same(row.get::<_, bool>(7), true)?;
    same(row.get::<_, String>(8), "12345678901234567890.123456789".to_string())
}

async fn prepared_statements(client: &Client) -> Outcome {
    let twice = client.prepare("select $1::int * 2").await?;
    for n in 0..100i32 {
        same(client.query_one(&twice, &[&n]).await?.get::<_, i32>(0), n * 2)?;
    }
    Ok(())
}

async fn transaction_rollback() -> Outcome {
    let mut client = connect().await?;
    client.batch_execute("create table tx (n int)").await?;
    let transaction = client.transaction().await?;
    transaction.execute("insert into tx values (1)", &[]).await?;
    drop(transaction); // rolls back
    let transaction = client.transaction().await?;
    transaction.execute("insert into tx values (2)", &[]).await?;
    transaction.commit().await?;
    same(client.query_one("select array_agg(n) from tx", &[]).await?.get::<_, Vec<i32>>(0), vec![2])
}

async fn unique_violation(client: &Client) -> Outcome {
    client.batch_execute("create table once (n int primary key); insert into once values (1)").await?;
    let error = client.execute("insert into once values ($1)", &[&1i32]).await.err().ok_or("no error")?;
    same(sqlstate(error), "23505".to_string())?;
    same(client.query_one("select 1", &[]).await?.get::<_, i32>(0), 1)
}

async fn copy_in_out(client: &Client) -> Outcome {
    client.batch_execute("create table copied (n int, x text)").await?;
    let lines: String = (0..10000).map(|n| format!("{n}\trow {n}\n")).collect();
    let sink = client.copy_in("copy copied from stdin").await?;
    pin_mut!(sink);
    for chunk in lines.as_bytes().chunks(10000) {
        sink.send(Bytes::copy_from_slice(chunk)).await?;
    }
    same(sink.finish().await?, 10000)?;
    let chunks: Vec<Bytes> = client.copy_out("copy copied to stdout").await?.try_collect().await?;
    same(String::from_utf8(chunks.concat())?, lines)
}

async fn listen_notify(client: &Client) -> Outcome {
    let (listener, mut connection) = tokio_postgres::connect(&url(), NoTls).await?;
    let (sender, mut receiver) = channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = sender.send(notification.payload().to_string()).await;
            }
        }
    });
    listener.batch_execute("listen ch").await?;
    client.batch_execute("notify ch, 'hi'").await?;
    let payload = tokio::time::timeout(Duration::from_secs(5), receiver.recv()).await?;
    same(payload, Some("hi".to_string()))
}

fn channel() -> (tokio::sync::mpsc::Sender<String>, tokio::sync::mpsc::Receiver<String>) {
    tokio::sync::mpsc::channel(16)
}

async fn cancel(client: &Client) -> Outcome {
    let token = client.cancel_token();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let _ = token.cancel_query(NoTls).await;
    });
    let error = client.batch_execute("select pg_sleep(20)").await.err().ok_or("not cancelled")?;
    same(sqlstate(error), "57014".to_string())
}

async fn concurrent_sessions(client: &Client) -> Outcome {
    client.batch_execute("create table counter (n int); insert into counter values (0)").await?;
    let work = || async {
        let mine = connect().await?;
        for _ in 0..20 {
            mine.execute("update counter set n = n + 1", &[]).await?;
        }
        Ok::<(), tokio_postgres::Error>(())
    };
    future::try_join_all((0..8).map(|_| work())).await?;
    same(client.query_one("select n from counter", &[]).await?.get::<_, i32>(0), 160)
}

async fn pipeline_batch(client: &Client) -> Outcome {
    client.batch_execute("create table batch (n int)").await?;
    let insert = client.prepare("insert into batch values ($1)").await?;
    // Futures that are polled together are sent together.
    let numbers: Vec<i32> = (0..500).collect();
    future::try_join_all(numbers.iter().map(|n| {
        let insert = &insert;
        async move { client.execute(insert, &[n]).await }
    }))
    .await?;
    same(client.query_one("select sum(n)::int from batch", &[]).await?.get::<_, i32>(0), 124750)
}

pub async fn run() -> Outcome {
    let client = connect().await?;
    report("typed_round_trip", typed_round_trip(&client)).await;
    report("prepared_statements", prepared_statements(&client)).await;
    report("transaction_rollback", transaction_rollback()).await;
    report("unique_violation", unique_violation(&client)).await;
    report("copy_in_out", copy_in_out(&client)).await;
    report("listen_notify", listen_notify(&client)).await;
    report("cancel", cancel(&client)).await;
    report("concurrent_sessions", concurrent_sessions(&client)).await;
    report("pipeline_batch", pipeline_batch(&client)).await;
    Ok(())
}
