//! Join: which lines are one event?
