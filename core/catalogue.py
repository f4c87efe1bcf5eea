NAMES: tuple[str, ...] = ("mnist", "fashion-mnist", "kmnist", "qmnist", "sample")
