//! Debian's control files: stanzas of `Field: value` lines. dpkg and opkg keep their lists of packages in them.

use super::text::Text;
use crate::error::Result;

/// One stanza: what is said of one package.
pub struct Stanza<'a> {
    text: &'a Text,
    /// The number of its first line.
    pub line: usize,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    line: usize,
    name: &'a [u8],
    /// The value's lines.
    value: Vec<&'a [u8]>,
}

/// The stanzas of `text`.
///
/// # Errors
/// [`Error::Packages`](crate::Error::Packages) for a line that is no field and continues none.
pub fn stanzas(text: &Text) -> Result<Vec<Stanza<'_>>> {
    let mut stanzas: Vec<Stanza<'_>> = Vec::new();
    let mut is_new = true;
    for (number, line) in text.lines() {
        if line.trim_ascii().is_empty() {
            is_new = true;
            continue;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let field = stanzas.last_mut().filter(|_| !is_new).and_then(|stanza| stanza.fields.last_mut());
            field
                .ok_or_else(|| text.error(number, "it continues a field, but there is none before it"))?
                .value
                .push(line);
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0);
        let colon =
            colon.ok_or_else(|| text.error(number, "a field is written 'Name: value', and this has no colon"))?;
        if is_new {
            stanzas.push(Stanza { text, line: number, fields: Vec::new() });
            is_new = false;
        }
        let field = Field { line: number, name: &line[..colon], value: vec![&line[colon + 1..]] };
        stanzas.last_mut().expect("one was just pushed").fields.push(field);
    }
    Ok(stanzas)
}

impl Stanza<'_> {
    /// The value of a field, its lines joined; empty where the stanza has no such field.
    pub fn value(&self, name: &str) -> Result<String> {
        let Some(field) = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name.as_bytes())) else {
            return Ok(String::new());
        };
        let value = field.value.join(&b' ');
        self.text.utf8(field.line, name, &value).map(|value| value.trim().to_owned())
    }

    /// The value of a field that every package has.
    pub fn required(&self, name: &str) -> Result<String> {
        let value = self.value(name)?;
        if value.is_empty() {
            return Err(self.text.error(self.line, format!("the package that begins here has no field {name:?}")));
        }
        Ok(value)
    }

    /// The needs in a field such as `a (>= 1), b | c`, without versions: for each the names that satisfy it.
    pub fn needs(&self, name: &str) -> Result<Vec<Vec<String>>> {
        let value = self.value(name)?;
        let names = |need: &str| need.split('|').map(bare_name).filter(|name| !name.is_empty()).collect::<Vec<_>>();
        Ok(value.split(',').map(names).filter(|need| !need.is_empty()).collect())
    }
}

/// The name in `name:any (>= 1) [amd64]`.
fn bare_name(text: &str) -> String {
    let name =
        text.trim().split(|char: char| char.is_whitespace() || matches!(char, '(' | '[' | '<')).next().unwrap_or("");
    name.strip_suffix(":any").or_else(|| name.strip_suffix(":native")).unwrap_or(name).to_owned()
}
