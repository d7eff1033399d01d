namespace Sluice.Hosting.Docker;

/// <summary>
/// Explains why a daemon could not start a container, and how to solve it. Pure; the explanation ends with the daemon's
/// own message.
/// </summary>
internal static class StartFailure
{
    /// <summary>Parts of the daemon's messages, and their explanation for operators.</summary>
    private static readonly (string Piece, string Means)[] Known =
    [
        ("could not select device driver",
            "Docker cannot pass GPUs to containers on this machine: install the NVIDIA Container Toolkit, "
                + "and run nvidia-ctk runtime configure --runtime=docker"),
        ("nvidia-container-cli", "NVIDIA's container runtime rejected the GPUs of the pod"),
        ("unresolvable CDI devices", "Docker does not know the pod's GPUs: run nvidia-ctk cdi generate"),
        ("docker-init", "Docker's init program is missing (Debian: tini; other packages: docker-init)"),
        ("network .. not found",
            "the network of SLUICE_DOCKER_NETWORK does not exist: create it with docker network create NAME"),
        ("bind source path does not exist",
            "a mounted folder does not exist on the Docker daemon's machine; "
                + "SLUICE_DOCKER_MODELS is the path of the model repository on that machine"),
        ("unable to find user", "container.user names a user that does not exist in the image"),
        ("no such file or directory",
            "the image does not contain the program, or container.user has no permission to run it"),
        ("executable file not found", "the image does not contain the program"),
        ("permission denied", "the pod's user has no permission to run the program (container.user)"),
    ];

    /// <summary>
    /// Returns an explanation of the daemon's message, or the message alone if it is not a known one.
    /// </summary>
    public static string Explain(string message, string image, DockerSettings settings)
    {
        if (message.Contains("no image", StringComparison.Ordinal)
            && (image == settings.WorkerImage || image == settings.WorkerGpuImage))
            return $"{message} (make images builds the built-in worker's images; "
                + "SLUICE_DOCKER_IMAGE and SLUICE_DOCKER_GPU_IMAGE name them)";
        foreach (var (piece, means) in Known)
            if (piece.Split(" .. ").All(p => message.Contains(p, StringComparison.OrdinalIgnoreCase)))
                return $"{means}; the daemon's message is: {message}";
        return message;
    }
}
