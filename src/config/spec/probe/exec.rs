//! Commands that are probes, as written.

use std::path::{Component, Path};

use super::{ProbeForm, common};
use crate::catalog::ProbeKind;
use crate::config::MayRun;
use crate::config::diagnostic::{Code, Finding};
use crate::config::leaf::Text;
use crate::config::load::inside;
use crate::config::source::At;
use crate::config::walk::Table;
use crate::limits::{EXEC_ARGS_MAX, EXEC_WORD_OCTETS_MAX};

/// Reads one.
pub(super) fn read(mut probe: Table<'_, '_>) -> Option<ProbeForm> {
    let command = command(&mut probe);
    let args = args(&mut probe);
    let kind = command.map(|command| ProbeKind::Exec { command, args, of: Box::default() });
    let form = common(&mut probe, 0, kind.clone().unwrap_or(ProbeKind::Tcp));
    probe.done();
    kind.and(form)
}

/// The path of the program; one that may not be run is reported.
fn command(probe: &mut Table<'_, '_>) -> Option<Box<str>> {
    let at = probe.need::<Box<str>>("command")?;
    let path = Path::new(&*at.value);
    let is_plain = path.is_absolute() && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !is_plain || at.value.len() > EXEC_WORD_OCTETS_MAX {
        let message = format!("{}: `command` must be the absolute path of a program", probe.subject());
        let finding = Finding::at(Code::BadProbe, at.place, message).label("begins with `/`, has no `..`, and is no longer than 4096 octets");
        probe.report(finding.help("no shell reads it: arguments stand in `args`"));
        return None;
    }
    match refusal(probe, &at) {
        None => Some(at.value),
        Some(finding) => {
            probe.report(finding);
            None
        }
    }
}

/// Why a command may not be run.
fn refusal(probe: &Table<'_, '_>, command: &At<Box<str>>) -> Option<Finding> {
    let message = format!("{} may not run {}", probe.subject(), command.value.escape_default());
    let finding = Finding::at(Code::ExecRefused, command.place, message);
    match &probe.findings().may_run {
        MayRun::Unrun => None,
        MayRun::Nothing => {
            Some(finding.label("files of zones alone run nothing").help("name the folder of commands with `--allow-exec FOLDER`, of `serve` and of `check`"))
        }
        MayRun::Folder(folder) => match inside(folder, &command.value) {
            Ok(file) if file.is_file() => None,
            Ok(_) => Some(finding.label("this is no file")),
            Err(why) if Path::new(&*command.value).starts_with(folder) => Some(finding.label(why)),
            Err(_) => Some(finding.label(format!("it is not in {}, whose commands alone may be run", folder.display()))),
        },
    }
}

/// The arguments.
fn args(probe: &mut Table<'_, '_>) -> Box<[Box<str>]> {
    let place = probe.place_of("args");
    let args: Vec<At<Text>> = probe.list("args");
    let wrong = match args.iter().find(|at| at.value.0.len() > EXEC_WORD_OCTETS_MAX || at.value.0.contains('\0')) {
        Some(at) => Some((at.place, "an argument has at most 4096 octets, and no zero among them")),
        None => place.filter(|_| args.len() > EXEC_ARGS_MAX).map(|place| (place, "more than 64 of them")),
    };
    if let Some((place, label)) = wrong {
        let message = format!("{}: `args` cannot be given to a program", probe.subject());
        probe.report(Finding::at(Code::BadProbe, place, message).label(label));
    }
    args.into_iter().map(|at| at.value.0).collect()
}
