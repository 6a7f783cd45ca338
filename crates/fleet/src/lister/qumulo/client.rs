//! Requests to a cluster: who is let in, how many at once, how long they may take, and how often they are
//! repeated.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sched::{Budget, Cancel};
use serde::de::DeserializeOwned;
use ureq::http::{Response, header};
use ureq::unversioned::transport::{Connector as _, TcpConnector};
use ureq::{Agent, Body};

use super::answer::{Failure, LoggedIn};
use super::patience::{Busy, Failures, Patience, stopped};
use super::transport::{Encrypt, Lookup, NoAddress, Watch};
use super::{Cluster, Login, Secret, address, trust};
use crate::lister::{Refused, Why};

/// Until a connection is there.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Until an answer is there, all of it: sums of a wide directory may take a cluster some time.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// The longest answer that is read. One of 5,000 entries has 6 MB, or 30 with the longest paths there are.
const MOST_ANSWER_BYTES: u64 = 64 << 20;

/// The longest answer that says why something was not done.
const MOST_FAILURE_BYTES: u64 = 64 << 10;

/// How much of a cluster's words is shown.
const MOST_SHOWN: usize = 200;

/// What may help where HTTP does not.
const WITH_TLS: &str = "; without --http it is asked by HTTPS";

/// Somebody who asks a cluster.
pub(super) struct Client {
    agent: Agent,
    /// The scheme, the host and the port.
    base: String,
    /// The cluster, as sentences call it.
    name: String,
    login: Login,
    has_tls: bool,
    session: Mutex<Session>,
    in_flight: Budget,
    patience: Patience,
    cancel: Cancel,
    asked: AtomicU64,
    /// Whether it ever answered: before that, a host that is not there is a mistake and not an accident.
    has_answered: AtomicBool,
}

/// Who we are to the cluster.
#[derive(Default)]
struct Session {
    token: Option<Secret>,
    /// How often somebody logged in.
    logins: u64,
}

/// The cluster understood and does not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// The status of HTTP.
    pub(super) status: u16,
    /// The kind of failure, as the cluster calls it.
    pub(super) class: String,
    /// Its words.
    pub(super) said: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// This was refused; something else may not be.
    Denied(Denied),
    /// Nothing more can be asked.
    Over(Refused),
}

impl From<Refused> for NoAnswer {
    fn from(refused: Refused) -> Self {
        Self::Over(refused)
    }
}

/// What came of one request.
enum Outcome<T> {
    Answer(T),
    Denied(Denied),
    Busy(Busy),
    Over(Refused),
}

impl Client {
    pub(super) fn new(cluster: &Cluster, cancel: &Cancel) -> Result<Self, Refused> {
        if !address::is_host(&cluster.host) {
            let sentence = format!("cluster: \"{}\" is no host: name one", shown(&cluster.host));
            return Err(Refused { why: Why::Connection, sentence });
        }
        let config = trust::client_config(&cluster.tls)
            .map_err(|sentence| Refused { why: Why::Connection, sentence })?;
        let has_tls = config.is_some();
        let in_flight = cluster.in_flight.get();
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("lanesync/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_per_call(Some(ANSWER_LIMIT))
            .max_idle_connections(in_flight)
            .max_idle_connections_per_host(in_flight)
            .build();
        let connector = ().chain(TcpConnector::default()).chain(Watch { cancel: cancel.clone() });
        let connector = connector.chain(Encrypt { config });
        let Cluster { host, port, .. } = cluster;
        let place =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let scheme = if has_tls { "https" } else { "http" };
        Ok(Self {
            agent: Agent::with_parts(settings, connector, Lookup::default()),
            base: format!("{scheme}://{place}"),
            name: format!("cluster {place}"),
            login: cluster.login.clone(),
            has_tls,
            session: Mutex::default(),
            in_flight: Budget::new(in_flight as u64),
            patience: cluster.patience,
            cancel: cancel.clone(),
            asked: AtomicU64::new(0),
            has_answered: AtomicBool::new(false),
        })
    }

    /// How many requests were sent.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The cluster, as sentences call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks for `target`, which begins with a slash, until there is an answer or patience ends.
    pub(super) fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, NoAnswer> {
        let _permit = self.in_flight.acquire(1, &self.cancel).map_err(|_| stopped())?;
        let url = format!("{}{target}", self.base);
        let mut failures = Failures::none(&self.patience);
        let mut may_renew = true;
        loop {
            let (token, login) = self.token()?;
            let bearer = format!("Bearer {}", token.reveal());
            let outcome = self.once(&token, || {
                self.agent.get(&url).header(header::AUTHORIZATION, &bearer).call()
            });
            match outcome {
                Outcome::Answer(answer) => return Ok(answer),
                Outcome::Denied(denied) if denied.status == 401 && may_renew => {
                    self.renew(login, &denied)?;
                    may_renew = false;
                }
                Outcome::Denied(denied) if denied.status == 401 => {
                    return Err(self.not_let_in(&denied).into());
                }
                Outcome::Denied(denied) => return Err(NoAnswer::Denied(denied)),
                Outcome::Busy(busy) => failures.wait(&busy, &self.name, &self.cancel)?,
                Outcome::Over(refused) => return Err(refused.into()),
            }
        }
    }

    /// Who we are, and by which login.
    fn token(&self) -> Result<(Secret, u64), Refused> {
        let mut session = self.session.lock();
        let token = match &session.token {
            Some(token) => token.clone(),
            None => self.log_in(&mut session)?,
        };
        Ok((token, session.logins))
    }

    /// Logs in again, unless somebody else has done so since `login`.
    fn renew(&self, login: u64, denied: &Denied) -> Result<(), Refused> {
        let mut session = self.session.lock();
        match self.login {
            _ if session.logins != login => Ok(()),
            Login::Token(_) => Err(self.not_let_in(denied)),
            Login::Password { .. } => self.log_in(&mut session).map(drop),
        }
    }

    fn log_in(&self, session: &mut Session) -> Result<Secret, Refused> {
        let token = match &self.login {
            Login::Token(token) => token.clone(),
            Login::Password { user, password } => self.token_for(user, password)?,
        };
        if !token.reveal().bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let sentence = format!("{}: a token with letters that no token has", self.name);
            return Err(Refused { why: Why::Login, sentence });
        }
        session.token = Some(token.clone());
        session.logins += 1;
        Ok(token)
    }

    fn token_for(&self, user: &str, password: &Secret) -> Result<Secret, Refused> {
        let url = format!("{}/v1/session/login", self.base);
        let body =
            serde_json::json!({ "username": user, "password": password.reveal() }).to_string();
        let mut failures = Failures::none(&self.patience);
        loop {
            let outcome = self.once(password, || {
                self.agent.post(&url).header(header::CONTENT_TYPE, "application/json").send(&body)
            });
            match outcome {
                Outcome::Answer(LoggedIn { bearer_token }) => {
                    return Ok(Secret::new(&bearer_token));
                }
                Outcome::Denied(denied) if matches!(denied.status, 400..=403) => {
                    return Err(self.not_let_in(&denied));
                }
                Outcome::Denied(_) => return Err(self.nonsense("nobody can log in there")),
                Outcome::Busy(busy) => failures.wait(&busy, &self.name, &self.cancel)?,
                Outcome::Over(refused) => return Err(refused),
            }
        }
    }

    fn not_let_in(&self, denied: &Denied) -> Refused {
        let (name, said) = (&self.name, &denied.said);
        let sentence = match &self.login {
            Login::Password { user, .. } => {
                let user = shown(user);
                format!("{name} does not let {user} in: {said}; check the user and the password")
            }
            Login::Token(_) => {
                format!(
                    "{name} does not accept the token: {said}; get a new one, or log in by password"
                )
            }
        };
        Refused { why: Why::Login, sentence }
    }

    /// Sends one request and reads what comes. `secret` is what its text must not be shown with.
    fn once<T: DeserializeOwned>(
        &self,
        secret: &Secret,
        send: impl FnOnce() -> Result<Response<Body>, ureq::Error>,
    ) -> Outcome<T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let outcome = match send() {
            Ok(response) => self.read(secret, response),
            Err(error) => self.lost(error),
        };
        // Whatever it was: a wait that was ended looks like a fault of the network.
        if self.cancel.is_cancelled() { Outcome::Over(stopped()) } else { outcome }
    }

    fn read<T: DeserializeOwned>(&self, secret: &Secret, response: Response<Body>) -> Outcome<T> {
        self.has_answered.store(true, Ordering::Relaxed);
        let status = response.status().as_u16();
        if matches!(status, 200..=299) {
            return self.read_answer(response);
        }
        let pause = pause_asked_for(&response);
        let mut text = Vec::new();
        // An answer that breaks off says less, and its status still holds.
        response.into_body().into_reader().take(MOST_FAILURE_BYTES).read_to_end(&mut text).ok();
        let failure: Failure = serde_json::from_slice(&text).unwrap_or_default();
        let said = match &*failure.description {
            "" => format!("HTTP status {status}"),
            words => shown(secret.hide_in(words).trim_end_matches('.')),
        };
        match status {
            408 | 429 | 500..=599 => Outcome::Busy(Busy { said, pause }),
            300..=399 => Outcome::Over(self.nonsense("it sends us to another address")),
            _ => Outcome::Denied(Denied { status, class: failure.error_class, said }),
        }
    }

    fn read_answer<T: DeserializeOwned>(&self, response: Response<Body>) -> Outcome<T> {
        let body = Bounded { inner: response.into_body().into_reader(), left: MOST_ANSWER_BYTES };
        match serde_json::from_reader(io::BufReader::new(body)) {
            Ok(answer) => Outcome::Answer(answer),
            Err(error) if error.io_error_kind() == Some(io::ErrorKind::FileTooLarge) => {
                Outcome::Over(self.nonsense("its answer is too long"))
            }
            Err(error) if error.is_io() || error.is_eof() => {
                Outcome::Busy(Busy { said: "an answer broke off".to_owned(), pause: None })
            }
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                Outcome::Over(self.nonsense(&format!("its answer cannot be read at {place}")))
            }
        }
    }

    fn nonsense(&self, what: &str) -> Refused {
        let sentence = format!(
            "{}: {what}; is it a Qumulo cluster, and this the port of its REST API?",
            self.name
        );
        Refused { why: Why::Connection, sentence }
    }

    /// A request without an answer.
    fn lost<T>(&self, error: ureq::Error) -> Outcome<T> {
        let name = &self.name;
        let over = |sentence| Outcome::Over(Refused { why: Why::Connection, sentence });
        let is_first = !self.has_answered.load(Ordering::Relaxed);
        match error {
            ureq::Error::Io(error) => match tls_error(&error) {
                Some(rustls::Error::InvalidCertificate(reason)) => over(format!(
                    "{name}: its certificate is not trusted ({}); name the certificate, or that of the \
                     authority which signed it, with --ca FILE, or go without with --insecure, where somebody \
                     between can read and change everything, the password too",
                    trust::said_of(reason)
                )),
                Some(rustls::Error::InvalidMessage(_)) => {
                    over(format!("{name} does not speak TLS there; --http goes without"))
                }
                Some(error) => over(format!("{name}: TLS: {error}")),
                None if is_first && is_not_there(&error) => {
                    over(format!("{name} cannot be reached: {error}; check the host and the port"))
                }
                // That may be bad luck, or what becomes of who does not begin with TLS.
                None if is_first && !self.has_tls && is_cut_off(&error) => {
                    Outcome::Busy(Busy { said: format!("{error}{WITH_TLS}"), pause: None })
                }
                None => Outcome::Busy(Busy { said: error.to_string(), pause: None }),
            },
            ureq::Error::HostNotFound if is_first => {
                over(format!("{name} is not known: check the host, or name its address"))
            }
            ureq::Error::Other(error) if is_first && error.is::<NoAddress>() => {
                over(format!("{name} is not known: {error}; check the host, or name its address"))
            }
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) if is_first => {
                over(format!("{name} cannot be reached: no answer; check the host and the port"))
            }
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Outcome::Over(
                self.nonsense("it names a place to ask for next that cannot be asked for"),
            ),
            ureq::Error::Protocol(_) if is_first => {
                let hint = if self.has_tls { "" } else { WITH_TLS };
                over(format!("{name} does not speak HTTP there{hint}"))
            }
            error => Outcome::Busy(Busy { said: error.to_string(), pause: None }),
        }
    }
}

/// What TLS has to say.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether nobody listens.
fn is_not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
    )
}

/// Whether somebody listened, and ended it.
fn is_cut_off(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// For how long the cluster wants to be left alone, where it says so in seconds.
fn pause_asked_for(response: &Response<Body>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// A cluster's words, so that they are one line and do nothing to a terminal.
pub(super) fn shown(words: &str) -> String {
    let is_plain = |letter: char| !letter.is_control();
    words
        .chars()
        .take(MOST_SHOWN)
        .map(|letter| if is_plain(letter) { letter } else { ' ' })
        .collect()
}

/// Reads so much and fails then.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut into[..most])?;
        self.left -= count as u64;
        Ok(count)
    }
}
