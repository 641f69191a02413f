//! `client tokio-postgres` or `client sqlx`: the scenarios with that driver.

mod scenario;
mod with_sqlx;
mod with_tokio_postgres;

#[tokio::main(flavor = "current_thread")]
async fn main() -> scenario::Outcome {
    match std::env::args().nth(1).as_deref() {
        Some("tokio-postgres") => with_tokio_postgres::run().await,
        Some("sqlx") => with_sqlx::run().await,
        _ => Err("which driver: tokio-postgres or sqlx?".into()),
    }
}
