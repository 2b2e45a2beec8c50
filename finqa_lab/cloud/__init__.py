"""A model on Amazon SageMaker: package, plan, price, confirm, deploy, invoke, scale, observe, tear down.

One code path for the service and for an offline stand-in (:mod:`finqa_lab.cloud.standin`). Nothing is created without
a confirmed plan, every creation is written to a ledger first, and what was created is removed on every way out.
"""
