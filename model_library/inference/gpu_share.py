"""How much of a GPU's memory this process may take: the microscope's software may want the rest."""


def cap_gpu_memory(share: float) -> None:
    """Let torch take at most a share of each GPU's memory from now on; without a GPU there is nothing to cap.

    What needs more is refused as if the memory were used up, so the engine goes on with smaller windows. The
    driver's own context (some hundred MB) is not counted.

    Parameters
    ----------
    share
        Above 0, at most 1.
    """
    import torch

    if not torch.cuda.is_available():
        return
    for number in range(torch.cuda.device_count()):
        torch.cuda.set_per_process_memory_fraction(share, number)
