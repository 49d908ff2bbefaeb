//! Elixir and Erlang.
//!
//! Sources: `Exception.format`, `Logger.Translator`, Plug.Cowboy's and Bandit's translations, `error_logger_tty_h`,
//! `logger_formatter`, the shell's `** exception error`.

use super::super::table::{BLANK, HEAD, START, State, Table, maybe, sure, text};

/// After `** (RuntimeError) boom`.
const MESSAGE: State = State::own(0);
/// Among frames, and what a process says of itself below them.
const FRAMES: State = State::own(1);
/// After a blank line below them.
const FRAMES_BLANK: State = State::own(7);
/// After the lines that Plug puts between head line and exception.
const REQUEST: State = State::own(2);
/// After the head of one of Erlang's reports.
const REPORTED: State = State::own(9);
/// After the line by which an application's end is logged.
const EXITED: State = State::own(11);
/// Within a report that is a map.
const MAP: State = State::own(10);
/// Within one of Erlang's reports.
const REPORT: State = State::own(3);
/// After a blank line within it.
const REPORT_BLANK: State = State::own(4);
/// After `Error in process … with exit value:`, a term follows.
const VALUE: State = State::own(8);
/// Within the shell's account of an exception.
const SHELL: State = State::own(5);
/// While the runtime ends.
const TERMINATING: State = State::own(6);

const FRAME: &str = r"[ \t]+\([\w.-]+(?: [\w.+~-]+)?\) |[ \t]+\S+\.(?:exs?|erl|eex|heex|leex|hrl):\d+: |[ \t]+:?\w+:\w+/\d+|[ \t]+nofile:\d+: |[ \t]+iex:\d+: ";
const ACCOUNT: &str = r"Function: |    Args: |Args: |Last message(?: \(from |:| )|State: |Initial Call: |Ancestors: |Client #PID|Client |Message Queue|Messages: |Links: |Dictionary: |Trapping Exits: |Status: |Heap Size: |Stack Size: |Reductions: |Neighbours: |Start Call: |Restart: |Shutdown: |Type: |Pid: |Queue: |Postponed: |Data: |Callback mode: |Process Label: ";

/// The lines of Erlang's reports: what is said of a process, and terms that run over lines.
const DETAIL: &str = concat!(
    r"\*\* [A-Z{\[]|[ \t]{4,}(?:[{\[<#]|\([a-z]\w*(?: \d[^)]*)?\) )|",
    r"[ \t]+(?:crasher|initial[ _]call|pid|registered_name|exception (?:error|exit|throw)|in (?:function|call from)|ancestors|",
    r"message_queue_len|messages|links|dictionary|trap_exit|status|heap_size|stack_size|reductions|neighbours?|supervisor|",
    r"error_?[cC]ontext|reason|offender|started|process_label|current_(?:stacktrace|function)|nb_children|",
    r"restart_type|shutdown|child_type|label|report|callbacks)\b"
);

pub(in super::super) const TABLE: Table = Table {
    rules: &[
        sure(
            &[START, REQUEST],
            r"\*\* \((?:[A-Z]\w*|exit|throw|stop|EXIT|shutdown|CompileError|erlang)",
            MESSAGE,
        ),
        // An application that does not start is said at level notice.
        maybe(
            &[START],
            r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ (?:\w+=\S+ )*\[(?:notice|info)\] +Application \w+ exited: ",
            EXITED,
        ),
        sure(&[EXITED], r"[ \t]+\*\* \(", MESSAGE),
        // A release that does not start.
        maybe(&[START], r"ERROR! Config provider \S+ failed with:$", REQUEST),
        text(&[MESSAGE], MESSAGE),
        sure(&[HEAD, MESSAGE, FRAMES], FRAME, FRAMES),
        maybe(&[HEAD], r"  \* \d+\w\w argument: ", MESSAGE),
        sure(&[MESSAGE, FRAMES], r"[ \t]+\*\* \(", MESSAGE),
        sure(&[FRAMES, MESSAGE], ACCOUNT, FRAMES),
        maybe(&[FRAMES], BLANK, FRAMES_BLANK),
        sure(&[FRAMES_BLANK], FRAME, FRAMES),
        maybe(
            &[HEAD, REQUEST],
            r"(?:Server|Request|Function|Args|Start Call|Child|Pid|Parent|Initial Call): ",
            REQUEST,
        ),
        // Erlang.
        sure(&[START], r"=(?:ERROR|CRASH|SUPERVISOR|WARNING) REPORT=+ ", REPORTED),
        // The report has a line at least, whatever it says.
        sure(&[REPORTED], r"\S|[ \t]+\S", REPORT),
        sure(
            &[HEAD],
            r"[ \t]+(?:crasher|supervisor|initial call|registered_name|errorContext|reason):",
            REPORT,
        ),
        sure(
            &[HEAD],
            r"\*\* (?:Generic server|State machine|gen_event handler|Last (?:message|event)|When |Reason for )",
            REPORT,
        ),
        sure(&[REPORT, REPORT_BLANK], DETAIL, REPORT),
        sure(&[REPORTED, MAP], r"    \w+: ", MAP),
        sure(&[REPORTED, REPORT], r"Error in process .* with exit value:", VALUE),
        sure(&[VALUE], r"[{<\[]", REPORT),
        sure(&[REPORT], r" [{\[]", REPORT),
        sure(&[REPORT], r"Ranch listener |Generic server |Supervisor: ", REPORT),
        maybe(&[REPORT], BLANK, REPORT_BLANK),
        sure(
            &[START],
            r"\*\* exception (?:error|exit|throw): |escript: exception (?:error|exit|throw): ",
            SHELL,
        ),
        sure(
            &[SHELL],
            r" {2,}(?:in (?:function|call)|\*\*\* |\([a-z]\w*(?:\.erl, line \d|(?: \d[^)]*)?\) ))",
            SHELL,
        ),
        sure(
            &[START],
            r#"\{"(?:init terminating in do_boot|Kernel pid terminated)"|Runtime terminating during boot|init terminating in do_boot|Kernel pid terminated \("#,
            TERMINATING,
        ),
        sure(
            &[TERMINATING],
            r"init terminating in |Kernel pid terminated |Crash dump is being written to",
            TERMINATING,
        ),
        maybe(&[TERMINATING], BLANK, TERMINATING),
    ],
    mentions: &[],
};
