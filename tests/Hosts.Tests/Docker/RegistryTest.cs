using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Core.Endpoints;
using Sluice.Core.Workers;
using Sluice.Core.Workers.Docker;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>Images from a real registry that wants a password.</summary>
[Collection("docker")]
[RunsWhere(typeof(RegistryTest))]
public sealed class RegistryTest(DockerDaemon daemon) : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-registry-").FullName;
    private readonly string registry = $"localhost:{FreePort.Find()}";

    public static string? WhyNot => DockerDaemon.WhyNot
        ?? (File.Exists("/usr/bin/docker-registry") ? null : "docker-registry is not installed (Debian: docker-registry)");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [FactWhereItRuns]
    public async Task An_image_that_is_missing_is_pulled_with_what_docker_login_left_and_the_pull_is_told_and_timed()
    {
        await using var server = await ServeAsync();
        await daemon.DockerAsync("login", "-u", "ann", "-p", "let-me-pull", registry);
        var image = $"{registry}/team/worker:1";
        await PushAsync(image);
        var template = new Template { Name = "t", Image = image, Command = ["/bin/sh", "-c", "exit 7"], Protocol = WorkerProtocol.Http1 };
        var order = new PodOrder(new Deployment(new Endpoint { Id = "e", Template = "t" }, template), $"e-{Guid.NewGuid():N}"[..10]);
        using var stranger = HostOf("");
        var why = await Assert.ThrowsAnyAsync<InvalidOperationException>(() => stranger.StartAsync(order, _ => { }, CancellationToken.None));
        Assert.Contains($"no image {image} and could not pull it: ", why.Message, StringComparison.Ordinal);
        Assert.Contains("auth", why.Message, StringComparison.Ordinal);

        using var host = HostOf(Path.Combine(daemon.Environment["DOCKER_CONFIG"]!, "config.json"));
        var told = new List<string>();
        var pod = await host.StartAsync(order, told.Add, CancellationToken.None);

        Assert.Equal("exit code 7", await pod.Exited);
        Assert.StartsWith($"pulling image {image}", told[0], StringComparison.Ordinal);
        Assert.Equal(["pull", "create", "start"], pod.HostStages.Select(s => s.Name));
        await host.ForgetAsync(pod);
        await daemon.DockerAsync("rmi", image);
    }

    private DockerHost HostOf(string config) => new(new DockerSettings { Daemon = daemon.Address, Models = Repository.Models, RegistryConfig = config },
        new HostId("registry-test"), TimeProvider.System, NullLogger<DockerHost>.Instance);

    private async Task<ChildProcess> ServeAsync()
    {
        // bcrypt of the password, at its least cost.
        await File.WriteAllTextAsync(Path.Combine(folder, "htpasswd"), "ann:$2b$04$Efi.0xRZzAcphML9qyQqjOmicuzz7BrKlNnhfdrxClTL.qYaB2ApW\n");
        await File.WriteAllTextAsync(Path.Combine(folder, "config.yml"), $$"""
            version: 0.1
            storage: { filesystem: { rootdirectory: {{folder}}/images } }
            http: { addr: "127.0.0.1:{{registry.Split(':')[1]}}" }
            auth: { htpasswd: { realm: test, path: {{folder}}/htpasswd } }

            """);
        var server = new ChildProcess("/usr/bin/docker-registry", ["serve", Path.Combine(folder, "config.yml")], new Dictionary<string, string?>());
        await server.LineAsync("listening on");
        return server;
    }

    /// <summary>An image with content of its own, so that its pull is one.</summary>
    private async Task PushAsync(string image)
    {
        var random = Path.Combine(folder, "random");
        await File.WriteAllBytesAsync(random, RandomNumberGenerator.GetBytes(2 << 20));
        await File.WriteAllTextAsync(Path.Combine(folder, "Dockerfile"), $"FROM {LocalImages.Base}\nCOPY random /random\n");
        await daemon.DockerAsync("build", "-q", "-t", image, folder);
        await daemon.DockerAsync("push", "-q", image);
        await daemon.DockerAsync("rmi", image);
        // BuildKit keeps layers of its own.
        await daemon.DockerAsync("builder", "prune", "-f");
    }
}
