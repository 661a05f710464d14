"""What the demonstration is made of, in a checkout alone: the wheel has none of it.

products   rendered parts of a production line, flawless and defective, with exact masks

They are the sample images (`make samples`), data of many tests, and what the bundled model learnt:
`make demo-model` is its recipe, which renders them, trains, evaluates on fresh ones and publishes.
"""
