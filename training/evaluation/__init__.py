"""How good a run or a served model is on labelled images."""
