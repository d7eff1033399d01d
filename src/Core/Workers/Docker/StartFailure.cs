namespace Sluice.Core.Workers.Docker;

/// <summary>What a daemon says when it cannot start a container, and what helps. Pure; the daemon's own words are kept.</summary>
internal static class StartFailure
{
    /// <summary>Pieces of the daemon's texts, and what they mean to whoever runs Sluice.</summary>
    private static readonly (string Piece, string Means)[] Known =
    [
        ("could not select device driver",
            "Docker cannot give out GPUs here: install the NVIDIA container toolkit and run nvidia-ctk runtime configure --runtime=docker"),
        ("nvidia-container-cli", "NVIDIA's container runtime refused the pod's GPUs"),
        ("unresolvable CDI devices", "Docker does not know the pod's GPUs: run nvidia-ctk cdi generate"),
        ("docker-init", "Docker's init program is missing (Debian: tini; other packages: docker-init)"),
        ("network .. not found", "the network of SLUICE_DOCKER_NETWORK is not there: docker network create NAME"),
        ("bind source path does not exist",
            "a folder to mount is not on the Docker daemon's machine; SLUICE_DOCKER_MODELS is the model repository as the daemon sees it"),
        ("unable to find user", "container.user names a user that the image does not have"),
        ("no such file or directory", "the image has no such program, or container.user may not run it"),
        ("executable file not found", "the image has no such program"),
        ("permission denied", "the pod's user may not run this program (container.user)"),
    ];

    public static string Explain(string said, string image, DockerSettings settings)
    {
        if (said.Contains("no image", StringComparison.Ordinal) && (image == settings.WorkerImage || image == settings.WorkerGpuImage))
            return $"{said} (the built-in worker's image is built with make images, and named by SLUICE_DOCKER_IMAGE and SLUICE_DOCKER_GPU_IMAGE)";
        foreach (var (piece, means) in Known)
            if (piece.Split(" .. ").All(p => said.Contains(p, StringComparison.OrdinalIgnoreCase))) return $"{means}; the daemon said: {said}";
        return said;
    }
}
