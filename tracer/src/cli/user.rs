//! Users: who a command runs as, and whose files are written.

use std::{ffi::CString, thread};

use anyhow::Context as _;
use nix::unistd::{Gid, Uid};
use rustix::thread as credentials;

/// A user of this machine.
#[derive(Clone, Debug)]
pub struct User {
    /// As the user database has it.
    pub name: CString,
    /// The user's id.
    pub uid: Uid,
    /// The id of the user's own group.
    pub gid: Gid,
    /// The home folder.
    pub home: String,
}

impl User {
    /// The user of this name or number.
    pub fn find(name: &str) -> anyhow::Result<Self> {
        let found = match name.parse() {
            Ok(uid) => nix::unistd::User::from_uid(Uid::from_raw(uid)),
            Err(_) => nix::unistd::User::from_name(name),
        };
        let user = found?.with_context(|| format!("there is no user {name}"))?;
        Ok(Self {
            name: CString::new(user.name)?,
            uid: user.uid,
            gid: user.gid,
            home: user.dir.to_string_lossy().into_owned(),
        })
    }

    /// The user who called sudo, if not root.
    pub fn behind_sudo() -> anyhow::Result<Option<Self>> {
        match std::env::var("SUDO_UID") {
            Ok(uid) if uid != "0" => Self::find(&uid).map(Some),
            _ => Ok(None),
        }
    }

    /// All groups the user is in.
    pub fn groups(&self) -> nix::Result<Vec<Gid>> {
        nix::unistd::getgrouplist(&self.name, self.gid)
    }

    /// Does `work` with this user's rights and no others. They are given to a thread that ends with it:
    /// to the kernel, each thread has its own.
    pub fn act<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let gid = |gid: Gid| credentials::Gid::from_raw(gid.as_raw());
        let groups: Vec<_> = self.groups()?.into_iter().map(gid).collect();
        let (uid, gid) = (credentials::Uid::from_raw(self.uid.as_raw()), gid(self.gid));
        let act = || {
            credentials::set_thread_groups(&groups)?;
            credentials::set_thread_res_gid(gid, gid, gid)?;
            credentials::set_thread_res_uid(uid, uid, uid)?;
            rustix::io::Result::Ok(work())
        };
        let done = thread::scope(|scope| scope.spawn(act).join());
        match done {
            Ok(done) => {
                done.with_context(|| format!("cannot act as {}", self.name.to_string_lossy()))
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
