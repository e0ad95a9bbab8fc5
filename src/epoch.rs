//! The only source of time. Nothing else in this crate may know what time it is, and this module never asks the clock.
//!
//! Source: the SOURCE_DATE_EPOCH specification of reproducible-builds.org; RFC 3339.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, Result};

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LATEST: i64 = 253_402_300_799;

/// The time of a build: when it claims to have happened, and what no modification time may exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    limit: Option<i64>,
    newest: i64,
}

impl Epoch {
    /// `created` in whole seconds since 1970 if it was given, else the environment's SOURCE_DATE_EPOCH, else no limit.
    ///
    /// # Errors
    /// [`Error::Spec`] when either is no second that RFC 3339 can write.
    pub fn new(created: Option<i64>) -> Result<Self> {
        let limit = match created {
            Some(seconds) => Some(("created", seconds.to_string())),
            None => std::env::var_os("SOURCE_DATE_EPOCH")
                .filter(|text| !text.is_empty())
                .map(|text| ("SOURCE_DATE_EPOCH", text.to_string_lossy().into_owned())),
        };
        let limit = limit.map(|(field, text)| parse_seconds(field, &text)).transpose()?;
        Ok(Self { limit, newest: 0 })
    }

    /// The modification time to write for one that was read: itself, or the limit if it is later than that.
    pub fn clamp(&mut self, mtime: i64) -> i64 {
        self.newest = self.newest.max(mtime);
        self.limit.map_or(mtime, |limit| mtime.min(limit))
    }

    /// When the image was made, in whole seconds since 1970: the limit, or without one the newest modification time
    /// that passed through [`Epoch::clamp`], so that the same root filesystem gives the same image.
    pub fn created(&self) -> i64 {
        self.limit.unwrap_or(self.newest).clamp(0, LATEST)
    }

    /// The time to give what no root filesystem has a time for: the limit, or 1970.
    pub fn of_the_invented(&self) -> i64 {
        self.limit.unwrap_or(0)
    }
}

fn parse_seconds(field: &str, text: &str) -> Result<i64> {
    match text.parse::<i64>() {
        Ok(seconds) if (0..=LATEST).contains(&seconds) => Ok(seconds),
        _ => Err(Error::spec(field, text, format!("a time is whole seconds since 1970, from 0 to {LATEST}"))),
    }
}

/// `seconds` since 1970 as image-spec documents write it, for example `2024-01-31T12:00:00Z`.
pub fn rfc3339(seconds: i64) -> String {
    // Both steps can only fail outside RFC 3339's years, and the value is held inside them.
    OffsetDateTime::from_unix_timestamp(seconds.clamp(0, LATEST))
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// Whether `text` is a moment as RFC 3339, section 5.6, writes it.
pub fn is_rfc3339(text: &str) -> bool {
    OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_rfc3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_706_702_400, "2024-01-31T12:00:00Z"),
            (LATEST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert!(is_rfc3339(text));
        }
        assert!(!is_rfc3339("2024-01-31"));
    }

    #[test]
    fn a_limit_clamps_and_is_the_time_of_creation() {
        let mut epoch = Epoch::new(Some(100)).unwrap();
        assert_eq!((epoch.clamp(99), epoch.clamp(101), epoch.created()), (99, 100, 100));
    }

    #[test]
    fn a_time_that_rfc3339_cannot_write_is_refused() {
        for seconds in [-1, LATEST + 1] {
            let error = Epoch::new(Some(seconds)).unwrap_err().to_string();
            assert!(error.starts_with("created: ") && error.contains(&seconds.to_string()), "{error}");
        }
    }
}
