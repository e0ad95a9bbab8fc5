//! Temporary names. Whatever is written is written under `.NAME.partial` beside its final name and renamed when it is
//! complete, so a final name never shows anything half done, whenever the process dies.
//!
//! The temporary name follows from the final one, so the next build of the same output finds what a killed one left and
//! takes it over. A lock on it, which the kernel gives up with the process, tells the leftover from a running build.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A directory under its temporary name. Dropping it removes it, unless it was published.
#[derive(Debug)]
pub struct StagedDirectory(Staged);

/// A file under its temporary name. Dropping it removes it, unless it was published.
#[derive(Debug)]
pub struct StagedFile(Staged);

#[derive(Debug)]
struct Staged {
    temporary: PathBuf,
    destination: PathBuf,
    replace: bool,
    /// Holds the lock.
    handle: File,
    published: bool,
}

impl StagedDirectory {
    /// Makes an empty directory that will become `destination`.
    ///
    /// # Errors
    /// [`Error::OutputExists`] when `destination` is there and was not to be replaced, [`Error::OutputForeign`] when it is
    /// a directory that is no layout, [`Error::OutputBusy`] when another build is writing it, [`Error::Io`].
    pub fn new(destination: &Path, replace: bool) -> Result<Self> {
        let staged = Staged::claim(destination, replace, |temporary| match fs::create_dir(temporary) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(temporary),
        })?;
        empty(&staged.temporary)?;
        Ok(Self(staged))
    }

    /// Where the directory is for now.
    pub fn path(&self) -> &Path {
        &self.0.temporary
    }

    /// Gives the directory its final name, in place of what had it.
    ///
    /// # Errors
    /// As [`StagedDirectory::new`].
    pub fn publish(self) -> Result<PathBuf> {
        self.0.publish()
    }
}

impl StagedFile {
    /// Makes an empty file that will become `destination`.
    ///
    /// # Errors
    /// As [`StagedDirectory::new`].
    pub fn new(destination: &Path, replace: bool) -> Result<Self> {
        let staged = Staged::claim(destination, replace, |temporary| {
            OpenOptions::new().write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(temporary)
        })?;
        staged.handle.set_len(0).map_err(Error::io("empty", &staged.temporary))?;
        Ok(Self(staged))
    }

    /// The file, to be written to.
    pub fn file(&self) -> &File {
        &self.0.handle
    }

    /// Where the file is for now.
    pub fn path(&self) -> &Path {
        &self.0.temporary
    }

    /// Gives the file its final name, in place of what had it.
    ///
    /// # Errors
    /// As [`StagedDirectory::new`].
    pub fn publish(self) -> Result<PathBuf> {
        self.0.handle.sync_all().map_err(Error::io("sync", &self.0.temporary))?;
        self.0.publish()
    }
}

impl Staged {
    fn claim(destination: &Path, replace: bool, open: impl Fn(&Path) -> io::Result<File>) -> Result<Self> {
        refuse_existing(destination, replace)?;
        let temporary = hidden_name(destination, "partial")?;
        loop {
            let handle = match open(&temporary) {
                Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory) => {
                    remove_leftover(&temporary, destination)?;
                    continue;
                }
                handle => handle.map_err(Error::io("create", &temporary))?,
            };
            if !lock(&handle).map_err(Error::io("lock", &temporary))? {
                return Err(Error::OutputBusy(destination.to_owned()));
            }
            // Between opening and locking, the build that held it may have published or removed it: then the lock is on
            // something that no longer has this name.
            if same_file(&handle, &temporary) {
                return Ok(Self { temporary, destination: destination.to_owned(), replace, handle, published: false });
            }
        }
    }

    fn publish(mut self) -> Result<PathBuf> {
        refuse_existing(&self.destination, self.replace)?;
        replace(&self.temporary, &self.destination)?;
        self.published = true;
        let parent = parent_of(&self.destination);
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(Error::io("sync", parent))?;
        Ok(self.destination.clone())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // The build has failed already and says why; the next one takes over what can't be removed now.
            let _ = remove(&self.temporary);
        }
    }
}

/// Puts `temporary` in the place of `destination`.
///
/// A directory can't replace anything but an empty directory, so what is there steps aside first, under the temporary
/// name of its own. (The two could trade places in one step, but not under pseudo, which takes that for a renaming.)
fn replace(temporary: &Path, destination: &Path) -> Result<()> {
    let publishing = || Error::io("rename a finished output to", destination);
    let old = hidden_name(destination, "old")?;
    discard(&old)?;
    match fs::rename(temporary, destination) {
        Err(error)
            if matches!(
                error.kind(),
                // The first and the second mean the same; XFS says the second.
                io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::AlreadyExists
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::NotADirectory
            ) => {}
        renamed => return renamed.map_err(publishing()),
    }
    fs::rename(destination, &old).map_err(Error::io("set aside the old", destination))?;
    fs::rename(temporary, destination).map_err(publishing())?;
    discard(&old)
}

/// Removes `path` if it is there.
fn discard(path: &Path) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// `.NAME.ending` beside `destination`.
fn hidden_name(destination: &Path, ending: &str) -> Result<PathBuf> {
    let Some(name) = destination.file_name() else {
        return Err(Error::spec("output", destination.display().to_string(), "an output has a file name"));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(ending);
    Ok(destination.with_file_name(hidden))
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// What may be replaced is a file, a layout or an empty directory: who gives the name of a directory full of other things
/// has mistaken it, and would lose them.
fn refuse_existing(destination: &Path, replace: bool) -> Result<()> {
    let looking = || Error::io("look for", destination);
    let is_directory = match fs::symlink_metadata(destination) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(looking()(error)),
    };
    if is_directory
        && fs::symlink_metadata(destination.join("oci-layout")).is_err()
        && fs::read_dir(destination).map_err(looking())?.next().is_some()
    {
        return Err(Error::OutputForeign(destination.to_owned()));
    }
    if replace { Ok(()) } else { Err(Error::OutputExists(destination.to_owned())) }
}

fn lock(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open as long as `file` is borrowed.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(false) } else { Err(error) }
}

/// Removes what a build of the other kind, a layout or an archive, left under the temporary name.
fn remove_leftover(temporary: &Path, destination: &Path) -> Result<()> {
    let handle = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        handle => handle.map_err(Error::io("open", temporary))?,
    };
    if !lock(&handle).map_err(Error::io("lock", temporary))? {
        return Err(Error::OutputBusy(destination.to_owned()));
    }
    if same_file(&handle, temporary) { discard(temporary) } else { Ok(()) }
}

fn same_file(handle: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (handle.metadata(), fs::symlink_metadata(path)) {
        (Ok(handle), Ok(path)) => identity(handle) == identity(path),
        _ => false,
    }
}

fn empty(directory: &Path) -> Result<()> {
    let failed = || Error::io("remove what an earlier build left in", directory);
    for child in fs::read_dir(directory).map_err(failed())? {
        remove(&child.map_err(failed())?.path()).map_err(failed())?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|child| child.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_has_the_final_name_before_it_is_published_and_nothing_else_is_left() {
        let root = tempfile::tempdir().unwrap();
        let staged = StagedDirectory::new(&root.path().join("x"), false).unwrap();
        fs::write(staged.path().join("f"), "1").unwrap();
        assert_eq!(names(root.path()), [".x.partial"]);
        staged.publish().unwrap();
        assert_eq!(names(root.path()), ["x"]);
        assert_eq!(names(&root.path().join("x")), ["f"]);
    }

    #[test]
    fn what_a_killed_build_left_is_taken_over_and_what_a_running_one_holds_is_not() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("x");
        fs::create_dir_all(root.path().join(".x.partial/blobs")).unwrap();
        let staged = StagedDirectory::new(&destination, false).unwrap();
        assert!(names(staged.path()).is_empty());
        let second = StagedDirectory::new(&destination, false);
        assert!(matches!(second, Err(Error::OutputBusy(path)) if path == destination));
        drop(staged);
        assert!(names(root.path()).is_empty());
    }

    #[test]
    fn what_a_build_of_the_other_kind_left_is_removed_and_what_one_holds_is_not() {
        let root = tempfile::tempdir().unwrap();
        let (destination, temporary) = (root.path().join("x"), root.path().join(".x.partial"));
        fs::create_dir_all(temporary.join("blobs")).unwrap();
        let file = StagedFile::new(&destination, false).unwrap();
        assert!(file.path().is_file());
        assert!(
            matches!(StagedDirectory::new(&destination, false), Err(Error::OutputBusy(path)) if path == destination)
        );
        drop(file);
        fs::write(&temporary, "left").unwrap();
        let directory = StagedDirectory::new(&destination, false).unwrap();
        assert!(directory.path().is_dir());
        assert!(matches!(StagedFile::new(&destination, false), Err(Error::OutputBusy(path)) if path == destination));
        drop(directory);
        std::os::unix::fs::symlink("elsewhere", &temporary).unwrap();
        StagedDirectory::new(&destination, false).unwrap_err();
        StagedFile::new(&destination, false).unwrap_err();
    }

    #[test]
    fn an_existing_output_is_replaced_only_when_asked() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("x");
        fs::create_dir_all(destination.join("blobs")).unwrap();
        fs::write(destination.join("oci-layout"), "").unwrap();
        assert!(matches!(StagedDirectory::new(&destination, false), Err(Error::OutputExists(_))));
        let staged = StagedDirectory::new(&destination, true).unwrap();
        fs::write(staged.path().join("oci-layout"), "").unwrap();
        staged.publish().unwrap();
        assert_eq!((names(root.path()), names(&destination)), (vec!["x".to_owned()], vec!["oci-layout".to_owned()]));
        StagedFile::new(&destination, true).unwrap().publish().unwrap();
        assert!(destination.is_file());
        assert_eq!(names(root.path()), ["x"]);
    }

    #[test]
    fn a_directory_that_is_no_layout_is_never_replaced() {
        let root = tempfile::tempdir().unwrap();
        let destination = root.path().join("x");
        fs::create_dir(&destination).unwrap();
        // Empty it may be replaced, until something is put into it.
        let staged = StagedDirectory::new(&destination, true).unwrap();
        fs::write(destination.join("thesis"), "").unwrap();
        assert!(matches!(staged.publish(), Err(Error::OutputForeign(path)) if path == destination));
        for replace in [true, false] {
            assert!(matches!(StagedDirectory::new(&destination, replace), Err(Error::OutputForeign(_))));
            assert!(matches!(StagedFile::new(&destination, replace), Err(Error::OutputForeign(_))));
        }
        assert_eq!((names(root.path()), names(&destination)), (vec!["x".to_owned()], vec!["thesis".to_owned()]));
    }
}
