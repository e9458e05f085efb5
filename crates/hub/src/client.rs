//! HTTP: one request at a time, with patience and bounds. Nothing here knows what is asked for.

use std::error::Error;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use reqwest::blocking::{Client as Http, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_RANGE, HeaderMap, LOCATION, RANGE, RETRY_AFTER,
};
use reqwest::{StatusCode, Url, redirect};

use crate::error::bare;
use crate::{HubError, limits};

/// What is told while a download goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file begins: its name, its bytes, and how many of them are here already.
    File {
        /// Its name.
        name: &'a str,
        /// Its bytes.
        bytes: u64,
        /// Bytes that an earlier attempt left.
        have: u64,
    },
    /// So many bytes have arrived.
    Bytes(u64),
    /// What had arrived turned out to be wrong and is asked for again.
    Again(u64),
    /// The whole file is being summed.
    Verifying,
    /// Another process downloads the same file.
    Locked,
    /// A pause, and why.
    Waiting {
        /// How long.
        pause: Duration,
        /// Who asks for it.
        why: &'a str,
    },
}

/// Hears of [`Event`]s, from several threads.
pub type Listener<'a> = &'a (dyn Fn(Event<'_>) + Sync);

/// Asks servers.
pub struct Client {
    http: OnceLock<Result<Http, String>>,
    offline: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// The address.
    pub url: &'a str,
    /// A token for that server alone; another one that it redirects to never sees it.
    pub token: Option<&'a str>,
    /// The kind of answer.
    pub accept: Option<&'a str>,
    /// Some of the bytes.
    pub range: Option<(u64, u64)>,
}

impl Client {
    /// A client that has not opened anything yet, and never will if `offline`.
    pub fn new(offline: bool) -> Client {
        Client { http: OnceLock::new(), offline }
    }

    /// The whole answer, of at most [`limits::ANSWER_BYTES_MAX`] bytes.
    pub fn text(&self, ask: Ask<'_>, listener: Listener<'_>) -> Result<Vec<u8>, HubError> {
        let mut patience = Patience::default();
        loop {
            let answer = self.send(ask, &mut patience, listener)?;
            match read_bounded(answer, ask.url, limits::ANSWER_BYTES_MAX) {
                Err(HubError::Network { why, .. }) if patience.pause(None, &why, listener) => {}
                answer => return answer,
            }
        }
    }

    /// An answer whose bytes are those of `range`. Its length is still to be checked. A server that
    /// knows no ranges will do for a file of one segment: what is here already is passed over.
    pub fn range(
        &self,
        ask: Ask<'_>,
        range: Range<u64>,
        total: u64,
        patience: &mut Patience,
        listener: Listener<'_>,
    ) -> Result<Response, HubError> {
        let ask = Ask { range: Some((range.start, range.end - 1)), ..ask };
        let mut answer = self.send(ask, patience, listener)?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            if range.end == total && range.start < limits::SEGMENT_BYTES_MIN {
                // Where this breaks off, whoever reads on sees it too.
                let _ = io::copy(&mut (&mut answer).take(range.start), &mut io::sink());
                return Ok(answer);
            }
            let what = "it sends whole files only, where a part was asked for";
            return Err(HubError::hostile(ask.url, what));
        }
        let expected = format!("bytes {}-{}/{total}", range.start, range.end - 1);
        let found = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        if found != Some(&expected) {
            let found = found.unwrap_or("nothing");
            let what = format!("it announces `{found}` where `{expected}` was asked for");
            return Err(HubError::hostile(ask.url, what));
        }
        Ok(answer)
    }

    /// The bytes of a range, all of them.
    pub fn bytes(
        &self,
        ask: Ask<'_>,
        range: Range<u64>,
        total: u64,
        patience: &mut Patience,
        listener: Listener<'_>,
    ) -> Result<Vec<u8>, HubError> {
        loop {
            let answer = self.range(ask, range.clone(), total, patience, listener)?;
            let wanted = range.end - range.start;
            let why = match read_bounded(answer, ask.url, wanted) {
                Ok(bytes) if bytes.len() as u64 == wanted => return Ok(bytes),
                Ok(_) => "the connection ended early".to_owned(),
                Err(HubError::Network { why, .. }) => why,
                Err(error) => return Err(error),
            };
            if !patience.pause(None, &why, listener) {
                return Err(HubError::Network { url: bare(ask.url).to_owned(), why });
            }
        }
    }

    /// Sends until there is an answer that says yes, or a no that will not change.
    fn send(
        &self,
        ask: Ask<'_>,
        patience: &mut Patience,
        listener: Listener<'_>,
    ) -> Result<Response, HubError> {
        loop {
            let mut request = self.http(ask.url)?.get(ask.url);
            if let Some(token) = ask.token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            if let Some(accept) = ask.accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some((first, last)) = ask.range {
                request = request.header(RANGE, format!("bytes={first}-{last}"));
            }
            let answer = match request.send() {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => answer,
                Err(error) => {
                    let why = reason(&error);
                    let lasts = error.is_redirect() || error.is_builder() || is_untrusted(&error);
                    if lasts || !patience.pause(None, &why, listener) {
                        return Err(HubError::Network { url: bare(ask.url).to_owned(), why });
                    }
                    continue;
                }
            };
            let status = answer.status();
            let after = retry_after(answer.headers());
            let passing = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            let why = format!("{} says {status}", host(ask.url));
            if !passing || !patience.pause(after, &why, listener) {
                return Err(refused(ask, &answer, after));
            }
        }
    }

    fn http(&self, url: &str) -> Result<&Http, HubError> {
        if self.offline {
            return Err(HubError::Offline { what: bare(url).to_owned() });
        }
        let http = self.http.get_or_init(|| build().map_err(|error| reason(&error)));
        http.as_ref().map_err(|why| HubError::Network {
            url: bare(url).to_owned(),
            why: format!("TLS cannot be set up: {why}"),
        })
    }
}

/// How long a request goes on being tried.
#[derive(Default)]
pub struct Patience {
    attempts: u32,
}

impl Patience {
    /// Something arrived: what failed before does not count any more.
    pub fn renew(&mut self) {
        self.attempts = 0;
    }

    /// Waits before another attempt; whether there should be one.
    pub fn pause(&mut self, after: Option<Duration>, why: &str, listener: Listener<'_>) -> bool {
        self.attempts += 1;
        let usual = limits::PAUSE * 2u32.pow(self.attempts.min(16) - 1);
        let pause = after.unwrap_or(usual);
        if self.attempts >= limits::ATTEMPTS_MAX || pause > limits::PAUSE_MAX {
            return false;
        }
        if pause >= Duration::from_secs(1) {
            listener(Event::Waiting { pause, why });
        }
        sleep(pause);
        true
    }
}

fn build() -> reqwest::Result<Http> {
    // Whoever installed another provider before us keeps it.
    let _ = rustls_graviola::default_provider().install_default();
    let policy = redirect::Policy::custom(|attempt| {
        let secure = attempt.previous().first().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > limits::REDIRECTS_MAX {
            attempt.error("too many redirects")
        } else if secure && attempt.url().scheme() != "https" {
            attempt.error("a redirect leads from https to an address without it")
        } else {
            attempt.follow()
        }
    });
    Http::builder()
        .user_agent(concat!("russet/", env!("CARGO_PKG_VERSION")))
        .redirect(policy)
        .connect_timeout(limits::CONNECT_MAX)
        .timeout(limits::SILENCE_MAX)
        .referer(false)
        .build()
}

/// The bytes of an answer that is not longer than `max`.
fn read_bounded(answer: Response, url: &str, max: u64) -> Result<Vec<u8>, HubError> {
    let mut bytes = Vec::new();
    let read = answer.take(max + 1).read_to_end(&mut bytes);
    read.map_err(|e| HubError::Network { url: bare(url).to_owned(), why: e.to_string() })?;
    if bytes.len() as u64 > max {
        return Err(HubError::hostile(url, format!("it is longer than {max} bytes")));
    }
    Ok(bytes)
}

/// An error's causes in one line; reqwest's own words leave out what went wrong.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Whether the server could not prove who it is; it will not a moment later either.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // What an I/O error wraps is none of its sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref());
        let tls: Option<&rustls::Error> = error.downcast_ref().or(inner);
        if tls.is_some_and(|tls| matches!(tls, rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn host(url: &str) -> String {
    let host = Url::parse(url).ok().and_then(|url| Some(url.host_str()?.to_owned()));
    host.unwrap_or_else(|| url.to_owned())
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = http_date(text)?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, rest) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = (MONTHS.find(month).filter(|_| month.len() == 3)? / 3) as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let [h, m, s] = time.split(':').collect::<Vec<_>>()[..] else { return None };
    let [h, m, s]: [u64; 3] = [h.parse().ok()?, m.parse().ok()?, s.parse().ok()?];
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || h > 23 || m > 59 || s > 60 {
        return None;
    }
    // Days since 1970 by H. Hinnant's algorithm: years begin in March, so leap days end them.
    let (y, m0) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m0 + 2) / 5 + day - 1 - 719_468;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400 + h * 3600 + m * 60 + s))
}

/// What a refusal means, and what to do.
fn refused(ask: Ask<'_>, answer: &Response, after: Option<Duration>) -> HubError {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let code = header("x-error-code").unwrap_or_default();
    let status = answer.status();
    let url = bare(ask.url).to_owned();
    let page = url.split("/resolve/").next().unwrap_or(&url).replace("/api/models/", "/");
    let page = page.split("/revision/").next().unwrap_or(&page);
    let hint = match (status.as_u16(), code) {
        (401 | 403, _) if url.contains("/v2/") => {
            "the registry shows this model to its owner only, and Russet has no account there; \
             pull it with Ollama, and Russet reads it where it lies"
                .to_owned()
        }
        (401 | 403, "GatedRepo") if ask.token.is_some() => format!(
            "its authors let in only whom they know, and your token's owner is not among them; \
             accept the terms at {page} and try again"
        ),
        (401 | 403, "GatedRepo") => format!(
            "its authors let in only whom they know; accept the terms at {page}, make a token in \
             your account's settings, and put it into HF_TOKEN"
        ),
        (401, _) if ask.token.is_none() => "there is no such model, or it is private; check the \
             name, or put a token that may read it into HF_TOKEN"
            .to_owned(),
        (401 | 403, _) => {
            "the token in HF_TOKEN may not read this; check the name, or use another token"
                .to_owned()
        }
        (404, "RevisionNotFound") => "there is no such branch, tag or commit; leave it out".into(),
        (404, _) => "there is no such model; check its name".to_owned(),
        (429, _) => match after {
            Some(after) => {
                format!("it was asked too often; try again in {} seconds", after.as_secs())
            }
            None => "it was asked too often; try again later".to_owned(),
        },
        (500.., _) => "the server has trouble; try again later".to_owned(),
        _ => match header(LOCATION.as_str()) {
            Some(to) => format!("it leads to {}, which is not followed", bare(to)),
            None => "this is no answer of a hub; check HF_ENDPOINT".to_owned(),
        },
    };
    HubError::Refused { url, status: status.as_u16(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        // The example of RFC 9110 and its seconds by `date -d`.
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), at(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), at(1_709_164_800));
        for wrong in ["", "yesterday", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(http_date(wrong), None);
        }
    }
}
