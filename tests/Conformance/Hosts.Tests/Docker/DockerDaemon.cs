using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>
/// A real Docker daemon with its own folder and socket, in its own network, which eng/own-network creates. It sets
/// <c>live-restore</c>, as the documentation recommends, so that it can be killed and restarted while containers run.
/// </summary>
public sealed class DockerDaemon : IAsyncLifetime
{
    /// <summary>Time limit of the image builds; the machine may be busy.</summary>
    private static readonly TimeSpan BuildPatience = TimeSpan.FromMinutes(5);

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-dockerd-").FullName;
    private ChildProcess? process;
    private ChildProcess? containerd;

    /// <summary>Why no daemon can be started here; null if one can.</summary>
    public static string? WhyNot { get; } = Find();

    public Uri Address => new($"unix://{Socket}");

    /// <summary>Port of the same daemon, for links that a test breaks.</summary>
    public int Port { get; } = FreePort.Find();

    public string Socket => Path.Combine(folder, "docker.sock");

    /// <summary>Environment variables that a process needs to use this daemon.</summary>
    public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?>
    {
        ["DOCKER_HOST"] = $"unix://{Socket}",
        ["DOCKER_BUILDKIT"] = "1",
        ["COMPOSE_DOCKER_CLI_BUILD"] = "1",
        ["DOCKER_CONFIG"] = folder,
    };

    public async ValueTask InitializeAsync()
    {
        if (WhyNot is not null) return;
        // containerd runs as a separate process, like the system's service. A containerd that Docker starts would delay
        // the next daemon.
        string[] arguments =
        [
            "--root", Path.Combine(folder, "containerd"),
            "--state", Path.Combine(folder, "state"),
            "--address", Containerd,
        ];
        containerd = new ChildProcess("containerd", arguments, new Dictionary<string, string?>());
        await containerd.LineAsync("containerd successfully booted");
        await StartAsync();
        await LocalImages.BuildAsync(this, folder);
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null)
        {
            // A test may have failed between the stop and the start of the daemon.
            if (process.HasExited) await StartAsync();
            var left = (await DockerAsync("ps", "-aq")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            if (left.Length > 0) await DockerAsync(["rm", "-f", "-v", .. left]);
            await process.DisposeAsync();
            await containerd!.DisposeAsync();
            // The daemon mounts these folders for its own purposes, and keeps the mounts with live-restore.
            var unmount = $"umount -R '{folder}/data' 2>/dev/null; umount '{folder}'/exec/netns/* 2>/dev/null; true";
            await RunAsync("/bin/sh", ["-c", unmount]);
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <summary>A daemon that was killed reads the state of all its containers first, up to 200 in one test.</summary>
    private static readonly TimeSpan StartsWithin = TimeSpan.FromMinutes(5);

    /// <summary>Starts the daemon with the data of the last one; completes when it listens.</summary>
    public async Task StartAsync()
    {
        process = new ChildProcess("dockerd",
        [
            "--data-root", Path.Combine(folder, "data"),
            "--exec-root", Path.Combine(folder, "exec"),
            "--host", $"unix://{Socket}",
            "--pidfile", Path.Combine(folder, "docker.pid"),
            "--containerd", Containerd,
            "--live-restore",
            "--host", $"tcp://127.0.0.1:{Port}",
            "--tls=false",
        ], new Dictionary<string, string?>());
        await process.LineAsync("API listen on " + Socket, patience: StartsWithin);
    }

    /// <summary>Kills the daemon with SIGKILL.</summary>
    public async Task KillAsync()
    {
        process!.Signal(ChildProcess.Sigkill);
        await process.ExitAsync();
        // The killed daemon did not delete its pid file. The next one may find another process with that id.
        File.Delete(Path.Combine(folder, "docker.pid"));
    }

    /// <summary>Returns the output of Docker's own client; throws if it fails.</summary>
    public Task<string> DockerAsync(params string[] arguments) => RunAsync(Client, arguments);

    public async Task<string> RunAsync(
        string program,
        IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, string?>? more = null)
    {
        var all = new Dictionary<string, string?>(Environment);
        foreach (var (name, value) in more ?? new Dictionary<string, string?>()) all[name] = value;
        await using var run = new ChildProcess(program, arguments, all);
        var code = await run.ExitAsync(BuildPatience);
        if (code == 0) return run.Output;
        var command = $"{program} {string.Join(' ', arguments)}";
        throw new InvalidOperationException($"{command} ended with {code}:\n{run.Output}");
    }

    private string Containerd => Path.Combine(folder, "containerd.sock");

    /// <summary>Debian's client if it is installed, because it builds without a plugin.</summary>
    private static string Client => File.Exists("/usr/bin/docker") ? "/usr/bin/docker" : "docker";

    private static string? Find()
    {
        (string Program, string Package)[] needed =
        [
            ("dockerd", "docker.io"), ("containerd", "containerd"),
            ("iptables", "iptables"), ("busybox", "busybox-static"), ("docker-init", "tini"),
        ];
        var path = (System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        foreach (var (program, package) in needed)
            if (!path.Any(p => File.Exists(Path.Combine(p, program))))
                return $"{program} is not installed (Debian: {package})";
        if (System.Environment.UserName != "root") return "only root can start a Docker daemon";
        if (System.Environment.GetEnvironmentVariable("OWN_NETWORK") == "1") return null;
        return "a Docker daemon changes the network that it runs in: "
            + "run the test program as root with eng/own-network";
    }
}

/// <summary>The tests that share one daemon and run one after another.</summary>
[CollectionDefinition("docker")]
public sealed class DockerCollection : ICollectionFixture<DockerDaemon>;
