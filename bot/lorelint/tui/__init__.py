"""The store in a terminal: a person works through the queue. Decides by way of jobs; neither analyses nor sends."""
