//! The real client over HTTP against a scripted endpoint.
#![allow(clippy::unwrap_used)]

use gmai_endpoint::{ApiKey, Endpoint, Ledger, Price, Settings};
use gmai_schema::{ChatRequest, Responder, ResponderError, Rgb8, Sampling, Turn};
use gmai_testkit::fake_endpoint::{FakeEndpoint, Reaction, Received};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn settings(server: &FakeEndpoint) -> Settings {
    Settings {
        first_wait_seconds: 0.01,
        longest_wait_seconds: 0.2,
        price: Price { prompt_per_million: 1000.0, completion_per_million: 2000.0 },
        ..Settings::new(server.base_url(), "scripted")
    }
}

fn request(text: impl std::fmt::Display) -> ChatRequest {
    ChatRequest {
        turns: vec![Turn::human(format!("<image>\n{text}"))],
        images: vec![Rgb8::filled(8, 8, [40; 3])],
        sampling: Sampling::greedy(64),
        ..ChatRequest::default()
    }
}

fn ask(endpoint: &mut Endpoint, text: &str) -> Result<String, ResponderError> {
    endpoint.respond(&request(text), &mut |_| {}).map(|answer| answer.text)
}

fn status(status: u16, retry_after: Option<u32>) -> Reaction {
    Reaction::Status { status, retry_after, body: "scripted".into() }
}

/// Answers that hold the question, so that none can be mistaken for another's.
fn echo(received: &Received) -> Reaction {
    Reaction::Answer(format!("answer to {}", received.text().trim()))
}

#[test]
fn a_request_arrives_as_openai_has_it() {
    let server = FakeEndpoint::start(|received| {
        let content = &received.body["messages"][0]["content"];
        let fine = received.path == "/v1/chat/completions"
            && received.authorization.as_deref() == Some("Bearer sk-1")
            && received.body["model"] == "scripted"
            && received.body["max_tokens"] == 64
            && content[0]["image_url"]["url"].as_str().unwrap().starts_with("data:image/png;base64,")
            && content[1]["text"] == "What?";
        Reaction::Answer(if fine { "fine".into() } else { received.body.to_string() })
    })
    .unwrap();
    let mut endpoint = Endpoint::new(settings(&server), Some(ApiKey::new("sk-1"))).unwrap();
    let answer = endpoint.respond(&request("What?"), &mut |_| {}).unwrap();
    assert_eq!(answer.text, "fine");
    assert!(answer.num_tokens > 0 && answer.checkpoint.starts_with("scripted at http://127.0.0.1"));
}

#[test]
fn passing_failures_are_outlasted_and_lasting_ones_are_not_repeated() {
    let server = FakeEndpoint::start(|received| match received.number {
        0 => status(429, Some(0)),
        1 => status(500, None),
        2 => Reaction::Torn("lost on the way".into()),
        3 => Reaction::Raw("<html>no</html>".into()),
        4 => Reaction::Answer("at last".into()),
        _ => status(403, None),
    })
    .unwrap();
    let mut endpoint = Endpoint::new(settings(&server), None).unwrap();
    assert_eq!(ask(&mut endpoint, "a").unwrap(), "at last");
    let error = ask(&mut endpoint, "b").unwrap_err().to_string();
    assert!(error.contains("403") && error.contains("api_key_variable"), "{error}");
    assert_eq!(server.num_received(), 6);
}

#[test]
fn retry_after_is_kept() {
    let server = FakeEndpoint::start(|received| match received.number {
        0 => status(429, Some(1)),
        _ => Reaction::Answer("later".into()),
    })
    .unwrap();
    let mut endpoint = Endpoint::new(Settings { longest_wait_seconds: 5.0, ..settings(&server) }, None).unwrap();
    let start = Instant::now();
    assert_eq!(ask(&mut endpoint, "a").unwrap(), "later");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn slow_and_endless_responses_end() {
    let server = FakeEndpoint::start(|received| match received.text().contains("slow") {
        true => Reaction::Late(Duration::from_secs(3), Box::new(Reaction::Answer("too late".into()))),
        false => Reaction::Endless,
    })
    .unwrap();
    let impatient = Settings { timeout_seconds: 0.3, max_retries: 1, ..settings(&server) };
    let error = ask(&mut Endpoint::new(impatient, None).unwrap(), "slow").unwrap_err().to_string();
    assert!(error.contains("timeout_seconds"), "{error}");
    let narrow = Settings { max_response_bytes: 100_000, ..settings(&server) };
    let error = ask(&mut Endpoint::new(narrow, None).unwrap(), "endless").unwrap_err().to_string();
    assert!(error.contains("max_response_bytes"), "{error}");
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = FakeEndpoint::start(echo).unwrap();
    let url = format!("{}/chat/completions", elsewhere.base_url());
    let server = FakeEndpoint::start(move |_| Reaction::Redirect(url.clone())).unwrap();
    let error = ask(&mut Endpoint::new(settings(&server), Some(ApiKey::new("sk-1"))).unwrap(), "a").unwrap_err();
    assert!(error.to_string().contains("307"), "{error}");
    assert_eq!(elsewhere.num_received(), 0, "neither key nor picture went elsewhere");
}

#[test]
fn an_endpoint_that_knows_less_is_asked_in_its_own_words() {
    let server = FakeEndpoint::start(|received| {
        let refuse = |body: &str| Reaction::Status { status: 400, retry_after: None, body: body.into() };
        let format = received.body["response_format"]["type"].as_str().unwrap_or("none").to_string();
        if received.body.get("max_tokens").is_some() {
            return refuse("Unsupported parameter: use 'max_completion_tokens' instead");
        }
        match format.as_str() {
            "json_schema" => refuse("response_format json_schema is not supported"),
            "json_object" => refuse("response_format is not supported"),
            _ => Reaction::Answer("{\"caption\": \"x\"}".into()),
        }
    })
    .unwrap();
    let mut endpoint = Endpoint::new(settings(&server), None).unwrap();
    let asked = ChatRequest { reply_schema: Some("{\"type\":\"object\"}".into()), ..request("a") };
    assert_eq!(endpoint.respond(&asked, &mut |_| {}).unwrap().text, "{\"caption\": \"x\"}");
    assert_eq!(server.num_received(), 4);
    endpoint.respond(&ChatRequest { turns: vec![Turn::human("<image>b")], ..asked }, &mut |_| {}).unwrap();
    assert_eq!(server.num_received(), 5, "what was learned is kept");
}

#[test]
fn streams_give_the_same_text_and_torn_ones_are_asked_again() {
    let server = FakeEndpoint::start(|received| match received.number {
        0 => Reaction::Torn("This region shows nothing of the kind".into()),
        _ => Reaction::Answer("该区域显示白细胞。".into()),
    })
    .unwrap();
    let mut endpoint = Endpoint::new(Settings { stream: true, ..settings(&server) }, None).unwrap();
    let mut heard = String::new();
    let answer = endpoint.respond(&request("a"), &mut |piece| heard += piece).unwrap();
    assert_eq!((answer.text.as_str(), heard.as_str()), ("该区域显示白细胞。", "该区域显示白细胞。"));
    assert_eq!(server.num_received(), 2);
}

#[test]
fn many_are_asked_at_once_but_not_too_many_and_each_gets_its_own() {
    let server =
        FakeEndpoint::start(|received| Reaction::Late(Duration::from_millis(40), Box::new(echo(received)))).unwrap();
    let mut endpoint = Endpoint::new(Settings { concurrency: 4, ..settings(&server) }, None).unwrap();
    let requests: Vec<ChatRequest> = (0..24).map(|number| request(number % 20)).collect();
    for (index, answer) in endpoint.respond_all(&requests).into_iter().enumerate() {
        assert_eq!(answer.unwrap().text, format!("answer to {}", index % 20));
    }
    assert_eq!(server.num_received(), 20, "equal requests are asked once");
    assert!((2..=4).contains(&server.most_under_way()), "{}", server.most_under_way());
}

#[test]
fn nothing_is_asked_twice_over_runs_and_the_budget_holds() {
    let server = FakeEndpoint::start(echo).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let open = |budget| Endpoint::with_ledger(Settings { budget, ..settings(&server) }, None, &path).unwrap();
    let mut first = open(None);
    let texts: Vec<String> = (0..5).map(|n| ask(&mut first, &n.to_string()).unwrap()).collect();
    drop(first);
    let mut second = open(None);
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(&ask(&mut second, &number.to_string()).unwrap(), text);
    }
    let spent = second.totals().unwrap();
    assert_eq!((server.num_received(), spent.num_asked, spent.num_answered), (5, 5, 5));
    assert!(spent.cost > 0.0);
    drop(second);
    let mut third = open(Some(spent.cost));
    let error = ask(&mut third, "one more").unwrap_err().to_string();
    assert!(error.contains("budget"), "{error}");
    assert_eq!(ask(&mut third, "0").unwrap(), texts[0], "what is paid for stays usable");
    assert_eq!(server.num_received(), 5);
}

/// Bad weather: of ten calls one each is refused, fails inside, comes back torn, or late.
fn weather(received: &Received) -> Reaction {
    match (received.number % 10, received.repetition, echo(received)) {
        (0, 0..=1, _) => status(429, Some(0)),
        (2, 0..=1, _) => status(500, None),
        (4, 0..=1, Reaction::Answer(text)) => Reaction::Torn(text),
        (8, _, answer) => Reaction::Late(Duration::from_millis(30), Box::new(answer)),
        (_, _, answer) => answer,
    }
}

/// Worse: one of ten is garbled as well.
fn storm(received: &Received) -> Reaction {
    match (received.number % 10, received.repetition) {
        (6, 0..=1) => Reaction::Raw("garbage".into()),
        _ => weather(received),
    }
}

#[test]
fn in_bad_weather_no_item_is_lost_and_the_bill_is_the_endpoints() {
    let server = FakeEndpoint::start(storm).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let mut endpoint = Endpoint::with_ledger(settings(&server), None, &path).unwrap();
    let requests: Vec<ChatRequest> = (0..100).map(request).collect();
    for (index, answer) in endpoint.respond_all(&requests).into_iter().enumerate() {
        assert_eq!(answer.unwrap().text, format!("answer to {index}"));
    }
    drop(endpoint);
    let bill = Bill::read(&path);
    assert_eq!((bill.asked, bill.open), (server.num_received(), 0));
    assert_eq!(bill.charged, server.num_charged());
    assert_eq!(bill.answered, 100);
}

/// Counts of a ledger's lines, read apart from the program.
#[derive(Debug, Default)]
struct Bill {
    asked: u64,
    answered: u64,
    charged: u64,
    open: u64,
}

impl Bill {
    fn read(path: &Path) -> Bill {
        let mut bill = Bill::default();
        for line in std::fs::read_to_string(path).unwrap().split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let outcome = &line["outcome"];
            bill.asked += u64::from(outcome.get("asked").is_some());
            bill.answered += u64::from(outcome.get("answered").is_some());
            let lost = outcome["failed"]["cost"].as_f64().is_some_and(|cost| cost > 0.0);
            bill.charged += u64::from(outcome.get("answered").is_some() || lost);
            bill.open += u64::from(outcome.get("asked").is_some());
            bill.open -= u64::from(outcome.get("asked").is_none());
        }
        bill
    }
}

const WORKER: &str = "GMAI_ENDPOINT_TEST_WORKER";

/// What the killed process does: asks all questions, again and again from the beginning in each life.
#[test]
fn worker_of_the_kill_test() {
    let Some(argument) = std::env::var_os(WORKER) else { return };
    let argument = argument.into_string().unwrap();
    let (base_url, path) = argument.split_once(' ').unwrap();
    let settings = Settings {
        first_wait_seconds: 0.01,
        price: Price { prompt_per_million: 1000.0, completion_per_million: 2000.0 },
        ..Settings::new(base_url, "scripted")
    };
    let mut endpoint = Endpoint::with_ledger(settings, None, Path::new(path)).unwrap();
    let requests: Vec<ChatRequest> = (0..NUM_ITEMS).map(request).collect();
    for (index, answer) in endpoint.respond_all(&requests).into_iter().enumerate() {
        assert_eq!(answer.unwrap().text, format!("answer to {index}"));
    }
}

const NUM_ITEMS: usize = 120;

/// Kills the worker at many moments, then lets it end; how often it was killed.
fn kill_until_done(server: &FakeEndpoint, path: &Path) -> u64 {
    let program: PathBuf = std::env::current_exe().unwrap();
    let mut kills = 0;
    for life in 0..200u64 {
        let mut worker = std::process::Command::new(&program)
            .args(["worker_of_the_kill_test", "--exact", "--quiet"])
            .env(WORKER, format!("{} {}", server.base_url(), path.display()))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let patience = if life < 25 { Duration::from_millis(15 + life * 7) } else { Duration::from_secs(60) };
        let start = Instant::now();
        loop {
            if let Some(status) = worker.try_wait().unwrap() {
                assert!(status.success());
                return kills;
            }
            if start.elapsed() > patience {
                worker.kill().unwrap(); // SIGKILL
                worker.wait().unwrap();
                kills += 1;
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    panic!("the worker never ended");
}

#[test]
fn killed_at_any_moment_nothing_is_lost_or_paid_twice() {
    let folder = tempfile::tempdir().unwrap();
    let slow = |reaction| Reaction::Late(Duration::from_millis(5), Box::new(reaction));
    // With keys, what the endpoint charged is exactly what was answered.
    let server = FakeEndpoint::start_idempotent(move |received| slow(weather(received))).unwrap();
    let path = folder.path().join("keys.jsonl");
    let kills = kill_until_done(&server, &path);
    let bill = Bill::read(&path);
    assert!(kills >= 3, "killed {kills} times");
    assert_eq!((bill.answered, server.num_charged()), (NUM_ITEMS as u64, NUM_ITEMS as u64));

    // Without keys, only calls that a kill cut off can have been charged twice, and the ledger shows each as open.
    let server = FakeEndpoint::start(move |received| slow(storm(received))).unwrap();
    let path = folder.path().join("no-keys.jsonl");
    let kills = kill_until_done(&server, &path);
    let bill = Bill::read(&path);
    assert_eq!(bill.answered, NUM_ITEMS as u64);
    assert!(bill.open <= kills * 4, "{bill:?} after {kills} kills of 4 calls each");
    assert!(
        (bill.charged..=bill.charged + bill.open).contains(&server.num_charged()),
        "{bill:?}, {}",
        server.num_charged()
    );
    assert!(server.num_received() <= bill.asked && bill.asked <= server.num_received() + bill.open, "{bill:?}");
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!((ledger.num_asked(), ledger.num_answered(), ledger.num_open()), (bill.asked, bill.answered, bill.open));
}
