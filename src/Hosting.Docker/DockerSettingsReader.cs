namespace Sluice.Hosting.Docker;

/// <summary>Reads the settings of the Docker host from environment variables.</summary>
public static class DockerSettingsReader
{
    /// <summary>Reads the settings.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <exception cref="InvalidOperationException">
    /// A variable has an invalid value. The message contains name, value and rule.
    /// </exception>
    public static DockerSettings Read(Func<string, string?> env)
    {
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        bool Flag(string name) => Text(name) switch
        {
            null or "0" => false,
            "1" => true,
            var other => throw Invalid(name, other, "0 or 1"),
        };

        var defaults = new DockerSettings();
        var models = Text("SLUICE_DOCKER_MODELS")
            ?? Path.GetFullPath(Text("SLUICE_MODEL_REPOSITORY") ?? defaults.Models);
        var cache = Text("SLUICE_DOCKER_CACHE") ?? defaults.Cache;
        return new DockerSettings
        {
            Daemon = Text("SLUICE_DOCKER_HOST") is { } daemon ? Daemon("SLUICE_DOCKER_HOST", daemon)
                : Text("DOCKER_HOST") is { } standard ? Daemon("DOCKER_HOST", standard) : defaults.Daemon,
            WorkerImage = Text("SLUICE_DOCKER_IMAGE") ?? defaults.WorkerImage,
            WorkerGpuImage = Text("SLUICE_DOCKER_GPU_IMAGE") ?? defaults.WorkerGpuImage,
            Network = Text("SLUICE_DOCKER_NETWORK") ?? defaults.Network,
            Publish = Flag("SLUICE_DOCKER_PUBLISH"),
            NodeAddress = NodeAddress.Read(env)?.ToString(),
            Models = models,
            ModelStore = Text("SLUICE_DOCKER_MODEL_STORE") ?? defaults.ModelStore,
            ModelUploads = Text("SLUICE_DOCKER_MODEL_UPLOADS") ?? defaults.ModelUploads,
            Cache = cache,
            Mountable = Mountable("SLUICE_DOCKER_MOUNTS", Text("SLUICE_DOCKER_MOUNTS") ?? "", [models, cache]),
            WorkerVariables = TelemetryEnvironment.Read(env),
            RegistryConfig = Text("SLUICE_DOCKER_CONFIG") ?? defaults.RegistryConfig,
            KeepPods = Flag("SLUICE_DOCKER_KEEP"),
            PodNetwork = Text("SLUICE_DOCKER_POD_NETWORK") ?? defaults.PodNetwork,
            PodAddress = Address("SLUICE_DOCKER_POD_ADDRESS", Text("SLUICE_DOCKER_POD_ADDRESS") ?? defaults.PodAddress),
            PodDiskQuota = Flag("SLUICE_DOCKER_POD_DISK"),
        };
    }

    /// <summary>
    /// Parses the folders that templates may mount. No folder may contain another one: a pod that can write to the
    /// outer folder could replace the inner folder with a symbolic link, and the Docker daemon follows links.
    /// </summary>
    private static string[] Mountable(string name, string text, string[] ownFolders)
    {
        string[] all = [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        foreach (var folder in all.Where(f => f.StartsWith('/')))
        {
            if (folder[1..].TrimEnd('/').Split('/').Any(p => p is "." or ".."))
                throw Invalid(name, text, $"absolute paths without '.' and '..' ({folder} has one)");
            if (all.Concat(ownFolders).FirstOrDefault(o => o != folder
                && o.StartsWith(folder.TrimEnd('/') + "/", StringComparison.Ordinal)) is { } inner)
                throw Invalid(name, text, $"folders that do not contain each other ({inner} is in {folder})");
        }

        return all;
    }

    private static Uri Daemon(string name, string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "unix" or "http" or "tcp"
            ? uri : throw Invalid(name, text, "unix:///var/run/docker.sock, or tcp://host:port of a proxy for it");

    private static string Address(string name, string text) => System.Net.IPAddress.TryParse(text, out _)
        ? text : throw Invalid(name, text, "an IP address of the daemon's machine, like 127.0.0.1 or 0.0.0.0");

    private static InvalidOperationException Invalid(string name, string value, string expected) =>
        new($"{name} is '{value}'; expected {expected}.");
}
