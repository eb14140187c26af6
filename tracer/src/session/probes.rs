//! Attaching the programs of a plan, and detaching them.

use std::{ffi::CString, io, thread};

use super::{
    Session,
    attach::{self, Link},
    bpf,
    error::SessionError,
    mapped,
};
use crate::witness::{catalogue::TracepointWitness, sites::CallSite};

impl Session {
    pub(super) fn attach_sites(&mut self) -> Result<(), SessionError> {
        if self.plan.sites.is_empty() {
            return Ok(());
        }
        let failed = |site: &CallSite, error: io::Error| SessionError::Attach {
            target: site.label(),
            error: error.into(),
        };
        let pmu = attach::pmu("kprobe").map_err(|error| failed(&self.plan.sites[0], error))?;
        let program = self.program("copy_site")?;
        let events = attach::in_parallel(&self.plan.sites, |site| {
            attach::at_address(program, pmu, site.address).map_err(|error| failed(site, error))
        });
        let mut refused = Vec::new();
        for (site, event) in self.plan.sites.iter().zip(events) {
            match event {
                Ok(event) => self.links.push(Link::event(event)),
                Err(error) if site.is_known() => refused.push(error.to_string()),
                // Much of what is found everywhere refuses probes, such as the routines' own
                // folder.
                Err(error) => log::debug!("{error}"),
            }
        }
        self.refused = refused;
        Ok(())
    }

    pub(super) fn attach_functions(&mut self) -> Result<(), SessionError> {
        let object = &self.object;
        let links = attach::in_parallel(&self.plan.probes, |probe| {
            let attach = |program: &&'static str| object.attach_to(program, probe.symbol);
            probe.programs.iter().map(attach).collect::<io::Result<Vec<_>>>().map_err(|error| {
                SessionError::Attach { target: probe.symbol.to_owned(), error: error.into() }
            })
        });
        for links in links {
            self.links.extend(links?);
        }
        Ok(())
    }

    /// Last, so that a window never opens before everything else is attached.
    pub(super) fn attach_tracepoints(
        &mut self,
        witnesses: &[&'static TracepointWitness],
    ) -> Result<(), SessionError> {
        for witness in witnesses {
            for name in witness.programs(&self.plan) {
                let failed = |error: io::Error| SessionError::Attach {
                    target: format!("tracepoint {}", witness.name),
                    error: error.into(),
                };
                let tracepoint =
                    CString::new(witness.name).map_err(|error| failed(error.into()))?;
                let link = bpf::attach(self.program(name)?, Some(&tracepoint)).map_err(failed)?;
                self.links.push(Link::event(link));
            }
        }
        Ok(())
    }

    /// Counts copies that processes of this program make themselves, in a function of it whose third
    /// argument is a number of bytes, as in `memcpy`.
    pub fn watch_user_copies(
        &mut self,
        function: unsafe extern "C" fn(*mut u8, *const u8, usize),
    ) -> Result<(), SessionError> {
        let place =
            mapped::place_of(function as usize as u64).map_err(|error| SessionError::Attach {
                target: "the function that copies in user space".to_owned(),
                error: error.into(),
            })?;
        let program = self.program("user_copy")?;
        let event = attach::in_file(program, &place.file, place.offset).map_err(|error| {
            SessionError::Attach {
                target: format!("{:#x} in {}", place.offset, place.file.display()),
                error: error.into(),
            }
        })?;
        self.links.push(Link::event(event));
        Ok(())
    }

    /// Begins to detach everything: the counts can still be read. The kernel needs a second, in which the
    /// report is made.
    pub fn detach(&mut self) {
        let mut links = std::mem::take(&mut self.links);
        links.extend(self.stubs.take_links());
        if !links.is_empty() {
            self.detaching = Some(thread::spawn(move || attach::detach(links)));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.detach();
        if let Some(detaching) = self.detaching.take() {
            // It only drops; there is no result.
            let _ = detaching.join();
        }
    }
}
