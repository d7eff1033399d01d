using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>
/// A real Docker daemon with its own folder and socket, in the network of its own that eng/own-network makes. With <c>live-restore</c>, as
/// operators are told to run theirs: it can be killed and started again while containers run.
/// </summary>
public sealed class DockerDaemon : IAsyncLifetime
{
    /// <summary>Of the images that tests build here; the machine may be busy.</summary>
    private static readonly TimeSpan BuildPatience = TimeSpan.FromMinutes(5);

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-dockerd-").FullName;
    private ChildProcess? process;
    private ChildProcess? containerd;

    /// <summary>Why no daemon can be started here; null: it can.</summary>
    public static string? WhyNot { get; } = Find();

    public Uri Address => new($"unix://{Socket}");

    /// <summary>The same daemon, for links that can be broken.</summary>
    public int Port { get; } = FreePort.Find();

    public string Socket => Path.Combine(folder, "docker.sock");

    /// <summary>What a process needs to speak to this daemon.</summary>
    public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?>
    {
        ["DOCKER_HOST"] = $"unix://{Socket}",
        ["DOCKER_BUILDKIT"] = "1",
        ["COMPOSE_DOCKER_CLI_BUILD"] = "1",
        ["DOCKER_CONFIG"] = folder,
    };

    public async Task InitializeAsync()
    {
        if (WhyNot is not null) return;
        // By itself, as the system's services have it: Docker's own one would not let its successor begin at once.
        containerd = new ChildProcess("containerd",
            ["--root", Path.Combine(folder, "containerd"), "--state", Path.Combine(folder, "state"), "--address", Containerd], new Dictionary<string, string?>());
        await containerd.LineAsync("containerd successfully booted");
        await StartAsync();
        await LocalImages.BuildAsync(this, folder);
    }

    public async Task DisposeAsync()
    {
        if (process is not null)
        {
            // A test may have failed between its end and its start.
            if (process.HasExited) await StartAsync();
            var left = (await DockerAsync("ps", "-aq")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            if (left.Length > 0) await DockerAsync(["rm", "-f", "-v", .. left]);
            await process.DisposeAsync();
            await containerd!.DisposeAsync();
            // Mounted over itself for its own purposes, and left so with live-restore.
            await RunAsync("/bin/sh", ["-c", $"umount -R '{folder}/data' 2>/dev/null; umount '{folder}'/exec/netns/* 2>/dev/null; true"]);
        }

        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Starts the daemon on what the last one left; ends when it listens.</summary>
    public async Task StartAsync()
    {
        process = new ChildProcess("dockerd",
        [
            "--data-root", Path.Combine(folder, "data"), "--exec-root", Path.Combine(folder, "exec"), "--host", $"unix://{Socket}",
            "--pidfile", Path.Combine(folder, "docker.pid"), "--containerd", Containerd, "--live-restore", "--host", $"tcp://127.0.0.1:{Port}", "--tls=false",
        ], new Dictionary<string, string?>());
        await process.LineAsync("API listen on " + Socket);
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        process!.Signal(ChildProcess.Sigkill);
        await process.ExitAsync();
        // It could not take its number away, and the next one might find another process under it.
        File.Delete(Path.Combine(folder, "docker.pid"));
    }

    /// <summary>What Docker's own client says; throws when it fails.</summary>
    public Task<string> DockerAsync(params string[] arguments) => RunAsync(Client, arguments);

    public async Task<string> RunAsync(string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string?>? more = null)
    {
        var all = new Dictionary<string, string?>(Environment);
        foreach (var (name, value) in more ?? new Dictionary<string, string?>()) all[name] = value;
        await using var run = new ChildProcess(program, arguments, all);
        var code = await run.ExitAsync(BuildPatience);
        return code == 0 ? run.Output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {code}:\n{run.Output}");
    }

    private string Containerd => Path.Combine(folder, "containerd.sock");

    /// <summary>Debian's client, which builds without a plugin, where there is one.</summary>
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
            if (!path.Any(p => File.Exists(Path.Combine(p, program)))) return $"{program} is not installed (Debian: {package})";
        if (System.Environment.UserName != "root") return "a Docker daemon is started by root only";
        return System.Environment.GetEnvironmentVariable("OWN_NETWORK") == "1" ? null
            : "a Docker daemon changes the network it runs in: run these tests as root by eng/own-network dotnet test";
    }
}

/// <summary>The tests that share one daemon, one after another.</summary>
[CollectionDefinition("docker")]
public sealed class DockerCollection : ICollectionFixture<DockerDaemon>;
