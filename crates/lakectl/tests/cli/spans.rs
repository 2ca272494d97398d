//! Spans reach a collector, and a collector that is not there holds nothing up. Only with the cargo feature `otel`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::{Ended, Place, TINY};

/// The first line of a request, and its body.
type Told = (String, Vec<u8>);

/// Reads one request off a connection.
fn request(connection: &mut TcpStream) -> Option<Told> {
    connection
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut bytes = Vec::new();
    let mut some = [0; 4096];
    loop {
        let head = bytes.windows(4).position(|at| at == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let body = head + 4;
            if bytes.len() >= body + length.unwrap_or(0) {
                let line = text.lines().next()?.to_owned();
                return Some((line, bytes[body..].to_vec()));
            }
        }
        match connection.read(&mut some) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&some[..read]),
        }
    }
}

fn run(place: &Place, endpoint: &str) -> Ended {
    let mut command = place.command(&[&TINY[..], &["run", "--until", "options.forwards"]].concat());
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    Ended::of(command.output().unwrap())
}

#[test]
fn a_collector_is_told_of_runs_plans_tasks_and_commits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
    let heard = Arc::clone(&told);
    thread::spawn(move || {
        // More than one run sends, and then no more.
        for connection in listener.incoming().take(100) {
            let mut connection = connection.unwrap();
            while let Some(one) = request(&mut connection) {
                heard.lock().unwrap().push(one);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                connection.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    let place = Place::empty();
    run(&place, &endpoint).code(0);
    let told = told.lock().unwrap();
    assert!(!told.is_empty());
    assert!(
        told.iter()
            .all(|(line, _)| line.starts_with("post /v1/traces "))
    );
    let bodies: Vec<u8> = told.iter().flat_map(|(_, body)| body.clone()).collect();
    let has = |text: &str| bodies.windows(text.len()).any(|at| at == text.as_bytes());
    for text in [
        "lakectl",
        "run",
        "plan",
        "task",
        "commit",
        "options.forwards asset=BTC",
    ] {
        assert!(has(text), "{text}");
    }
}

#[test]
fn a_collector_that_is_not_there_holds_nothing_up() {
    // Bound and let go: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let place = Place::empty();
    let ended = run(&place, &format!("http://{port}")).code(0);
    assert!(ended.stderr.contains("spans"), "{}", ended.stderr);
}
