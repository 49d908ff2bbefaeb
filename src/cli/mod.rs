//! Command line: what each command says and does.
