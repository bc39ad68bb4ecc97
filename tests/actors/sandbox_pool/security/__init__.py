"""S1 to S20: what a script cannot do, each with a control in which it can."""
