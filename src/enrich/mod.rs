//! Enrich: whose event is it?
