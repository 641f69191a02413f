//! What the drivers' scenarios have in common.

use serde_json::json;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

pub type Outcome = Result<(), Box<dyn Error>>;

pub fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL")
}

pub fn same<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Outcome {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{got:?} is not {wanted:?}").into())
    }
}

pub async fn report(test: &str, scenario: impl Future<Output = Outcome>) {
    let outcome = match tokio::time::timeout(Duration::from_secs(30), scenario).await {
        Ok(outcome) => outcome,
        Err(_) => Err("deadline".into()),
    };
    let detail = outcome.as_ref().err().map(|e| e.to_string()).unwrap_or_default();
    println!("{}", json!({"test": test, "ok": outcome.is_ok(), "detail": detail}));
}
