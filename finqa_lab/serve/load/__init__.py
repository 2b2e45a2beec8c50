"""Load: requests sent as users send them, what each of them waited for, and what can be said from it."""
