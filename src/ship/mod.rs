//! Ship: did it arrive?
