//! The name of an image, as registries, docker, podman and containerd understand it.
//!
//! Source: the reference grammar of the distribution project, and docker's rules for what a short name means.

use std::fmt;

use crate::error::{Error, Result};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_NAMESPACE: &str = "library";

/// `domain/path:tag`, all of it written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    domain: String,
    path: String,
    tag: String,
}

impl Reference {
    /// Completes `name` the way docker does: `app` is `docker.io/library/app`, `team/app` is `docker.io/team/app`,
    /// and a first component with a dot, a colon, or `localhost` is the registry. Names are completed below docker.io too:
    /// `docker.io/app` is `docker.io/library/app`.
    ///
    /// # Errors
    /// [`Error::Spec`] naming `name` or `tag` when one breaks the grammar.
    pub fn new(name: &str, tag: &str) -> Result<Self> {
        let (domain, path) = match name.split_once('/') {
            Some((LEGACY_DEFAULT_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (first, path),
            _ => (DEFAULT_DOMAIN, name),
        };
        let path = match domain == DEFAULT_DOMAIN && !path.contains('/') {
            true => format!("{OFFICIAL_NAMESPACE}/{path}"),
            false => path.to_owned(),
        };
        if name.is_empty() || !is_domain(domain) || !path.split('/').all(is_path_component) {
            return Err(Error::spec(
                "name",
                name,
                "a name is lower-case letters and digits, parted by '.', '_', '__' or '-', in components parted by '/', \
                 the first of which may be a registry's host[:port]",
            ));
        }
        if !is_tag(tag) {
            return Err(Error::spec(
                "tag",
                tag,
                "a tag is 1 to 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'",
            ));
        }
        Ok(Self { domain: domain.to_owned(), path, tag: tag.to_owned() })
    }

    /// Another name for the same image: `TAG` in the same repository, or `NAME:TAG`.
    ///
    /// # Errors
    /// [`Error::Spec`] naming `text` when a part of it breaks the grammar.
    pub fn sibling(&self, text: &str) -> Result<Self> {
        let sibling = match text.rsplit_once(':') {
            Some((name, tag)) => Self::new(name, tag),
            None => Self::new(&format!("{}/{}", self.domain, self.path), text),
        };
        sibling.map_err(|error| match error {
            Error::Spec { reason, .. } => Error::spec("extra_tags", text, format!("it is TAG or NAME:TAG; {reason}")),
            other => other,
        })
    }

    /// The tag alone.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.domain, self.path, self.tag)
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').unwrap_or((domain, "0"));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[a-z0-9]+` runs parted by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well = bytes.first().is_some_and(&alphanumeric) && bytes.last().is_some_and(&alphanumeric);
    ends_well
        && bytes.split(alphanumeric).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed_as_docker_does() {
        for (name, full) in [
            ("app", "docker.io/library/app:1.0"),
            ("team/app", "docker.io/team/app:1.0"),
            ("docker.io/app", "docker.io/library/app:1.0"),
            ("docker.io/library/app", "docker.io/library/app:1.0"),
            ("index.docker.io/team/app", "docker.io/team/app:1.0"),
            ("localhost/app", "localhost/app:1.0"),
            ("registry.example:5000/a/b__c/d--e", "registry.example:5000/a/b__c/d--e:1.0"),
        ] {
            assert_eq!(Reference::new(name, "1.0").unwrap().to_string(), full);
        }
    }

    #[test]
    fn a_sibling_has_another_tag_or_name() {
        let main = Reference::new("r.example:5000/team/app", "1.0").unwrap();
        for (text, full) in [
            ("latest", "r.example:5000/team/app:latest"),
            ("other:2", "docker.io/library/other:2"),
            ("localhost/11.2:latest", "localhost/11.2:latest"),
            ("r.example:5000/b:2", "r.example:5000/b:2"),
        ] {
            assert_eq!(main.sibling(text).unwrap().to_string(), full);
        }
        for text in ["", "-a", "team/app", "r.example:5000/app", "App:1", "app:", "a@sha256:00"] {
            let error = main.sibling(text).unwrap_err().to_string();
            assert!(error.starts_with("extra_tags: ") && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for name in ["", "App", "a b", "a/", "/a", "a..b", "a___b", "-a", "a-", "host.:1x/a", "ä"] {
            let error = Reference::new(name, "latest").unwrap_err().to_string();
            assert!(error.starts_with("name: ") && error.contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn tags_outside_the_grammar_are_refused() {
        for tag in ["", "-a", ".a", "a b", "a:b", "a/b", &"x".repeat(129)] {
            let error = Reference::new("app", tag).unwrap_err().to_string();
            assert!(error.starts_with("tag: "), "{error}");
        }
    }
}
