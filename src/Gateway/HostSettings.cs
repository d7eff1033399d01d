using Sluice.Core.Workers.Docker;

namespace Sluice.Gateway;

/// <summary>What runs this gateway's pods, as its environment says.</summary>
public sealed record HostSettings
{
    /// <summary>Containers; null: processes of this machine.</summary>
    public DockerSettings? Docker { get; init; }

    /// <summary>Reads the environment; throws with name, value and what is expected.</summary>
    public static HostSettings Read(Func<string, string?> env)
    {
        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        bool Flag(string name) => Text(name) switch
        {
            null or "0" => false,
            "1" => true,
            var other => throw Wrong(name, other, "0 or 1"),
        };
        switch (Text("SLUICE_POD_HOST"))
        {
            case null or "process": return new HostSettings();
            case "docker": break;
            case var other: throw Wrong("SLUICE_POD_HOST", other, "process or docker");
        }

        var d = new DockerSettings();
        var models = Text("SLUICE_DOCKER_MODELS") ?? Path.GetFullPath(Text("SLUICE_MODEL_REPOSITORY") ?? d.Models);
        var cache = Text("SLUICE_DOCKER_CACHE") ?? d.Cache;
        return new HostSettings
        {
            Docker = new DockerSettings
            {
                Daemon = Text("SLUICE_DOCKER_HOST") is { } daemon ? Daemon("SLUICE_DOCKER_HOST", daemon)
                    : Text("DOCKER_HOST") is { } standard ? Daemon("DOCKER_HOST", standard) : d.Daemon,
                WorkerImage = Text("SLUICE_DOCKER_IMAGE") ?? d.WorkerImage,
                WorkerGpuImage = Text("SLUICE_DOCKER_GPU_IMAGE") ?? d.WorkerGpuImage,
                Network = Text("SLUICE_DOCKER_NETWORK") ?? d.Network,
                Publish = Flag("SLUICE_DOCKER_PUBLISH"),
                Models = models,
                Cache = cache,
                Mountable = Mountable("SLUICE_DOCKER_MOUNTS", Text("SLUICE_DOCKER_MOUNTS") ?? "", [models, cache]),
                RegistryConfig = Text("SLUICE_DOCKER_CONFIG") ?? d.RegistryConfig,
                KeepPods = Flag("SLUICE_DOCKER_KEEP"),
            },
        };
    }

    /// <summary>Whoever may write to a folder may put a link in place of one in it, and the daemon follows links.</summary>
    private static string[] Mountable(string name, string text, string[] ours)
    {
        string[] all = [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        foreach (var folder in all.Where(f => f.StartsWith('/')))
        {
            if (folder[1..].TrimEnd('/').Split('/').Any(p => p is "." or ".."))
                throw Wrong(name, text, $"absolute paths without '.' and '..' ({folder})");
            if (all.Concat(ours).FirstOrDefault(o => o != folder && o.StartsWith(folder.TrimEnd('/') + "/", StringComparison.Ordinal)) is { } inner)
                throw Wrong(name, text, $"folders of which none lies in another one ({inner} lies in {folder})");
        }

        return all;
    }

    private static Uri Daemon(string name, string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "unix" or "http" or "tcp"
            ? uri : throw Wrong(name, text, "unix:///var/run/docker.sock, or tcp://host:port of a proxy before it");

    private static InvalidOperationException Wrong(string name, string value, string expected) => new($"{name} is '{value}', expected {expected}");
}
