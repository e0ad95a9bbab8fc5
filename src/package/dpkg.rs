//! dpkg's database: `/var/lib/dpkg`.
//!
//! Source: dpkg-query(1), deb-control(5), and the layout of `/var/lib/dpkg` in dpkg's own documentation. Images without a
//! package manager, as those of the distroless project, have a file for each package in `status.d` instead of `status`.

use std::collections::BTreeMap;

use super::claims::{Claims, Record};
use super::control::{Stanza, stanzas};
use super::tree::Tree;
use crate::error::{Error, Result};

const DIRECTORY: &str = "var/lib/dpkg";

/// What dpkg's database in `tree` says, or nothing if there is none.
pub fn read(mut tree: Tree<'_>) -> Result<Claims<'_>> {
    let diversions = Diversions::read(&mut tree)?;
    let status = tree.read(&format!("{DIRECTORY}/status"))?.ok_or_else(|| {
        Error::packages(format!("/{DIRECTORY}/status"), "the root filesystem has no database of dpkg")
    })?;
    let stanzas = stanzas(&status)?;
    let native = native_architecture(&stanzas)?;
    let mut claims = Claims::new(tree, true);
    for stanza in &stanzas {
        let status = stanza.required("Status")?;
        if status.ends_with(" not-installed") {
            continue;
        }
        let (name, architecture) = (stanza.required("Package")?, stanza.value("Architecture")?);
        let package = claims.package(record(stanza, &native)?);
        for list in [format!("{name}:{architecture}.list"), format!("{name}.list")] {
            if let Some(list) = claims.tree.read(&format!("{DIRECTORY}/info/{list}"))? {
                list.lines().for_each(|(_, path)| claims.claim(package, diversions.real(&name, path), None));
                break;
            }
        }
    }
    Ok(claims)
}

/// The architecture of dpkg itself: packages of others have it in their names.
fn native_architecture(stanzas: &[Stanza<'_>]) -> Result<String> {
    for stanza in stanzas {
        if stanza.value("Package")? == "dpkg" {
            return stanza.value("Architecture");
        }
    }
    Ok(String::new())
}

fn record(stanza: &Stanza<'_>, native: &str) -> Result<Record> {
    let (name, architecture) = (stanza.required("Package")?, stanza.value("Architecture")?);
    let source = stanza.value("Source")?;
    let recipe = source.split_whitespace().next().unwrap_or(&name).to_owned();
    let mut needs = stanza.needs("Pre-Depends")?;
    needs.extend(stanza.needs("Depends")?);
    let mut provides = stanza.needs("Provides")?.concat();
    let full_name = format!("{name}:{architecture}");
    let is_foreign = !native.is_empty() && architecture != native && architecture != "all";
    if is_foreign {
        // It needs what is of its own architecture, if that is there.
        let own = |name: &String| [format!("{name}:{architecture}"), name.clone()];
        needs = needs.iter().map(|need| need.iter().flat_map(own).collect()).collect();
        provides = provides.iter().map(|name| format!("{name}:{architecture}")).collect();
    }
    let (name, aliases) = if is_foreign { (full_name, Vec::new()) } else { (name, vec![full_name]) };
    Ok(Record { name, version: stanza.value("Version")?, recipe, aliases, provides, needs })
}

/// Paths from which a package has moved other packages' files away, to make room for its own.
#[derive(Default)]
struct Diversions(BTreeMap<Vec<u8>, Diversion>);

struct Diversion {
    /// Where others' files are.
    elsewhere: Vec<u8>,
    /// The package whose files stay; `:` if the administrator has made it.
    package: Vec<u8>,
}

impl Diversions {
    /// The file has three lines for each diversion: the path, where it goes, and the package.
    fn read(tree: &mut Tree<'_>) -> Result<Self> {
        let mut diversions = Self::default();
        let Some(text) = tree.read(&format!("{DIRECTORY}/diversions"))? else { return Ok(diversions) };
        for lines in text.lines().collect::<Vec<_>>().chunks(3) {
            let [(_, path), (_, elsewhere), (_, package)] = lines else {
                return Err(
                    text.error(lines[0].0, "a diversion has three lines, and the last one begins here and has fewer")
                );
            };
            let diversion = Diversion { elsewhere: elsewhere.to_vec(), package: package.to_vec() };
            diversions.0.insert(path.to_vec(), diversion);
        }
        Ok(diversions)
    }

    /// Where the file is that `package` calls `path`.
    fn real<'a>(&'a self, package: &str, path: &'a [u8]) -> &'a [u8] {
        match self.0.get(path) {
            Some(diversion) if diversion.package != package.as_bytes() => &diversion.elsewhere,
            _ => path,
        }
    }
}
