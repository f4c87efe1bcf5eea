"""The steps of RN_1 and RN_2 on a GPU, in few kernels."""
