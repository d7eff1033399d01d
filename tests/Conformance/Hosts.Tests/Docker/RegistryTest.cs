using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;
using Sluice.Hosting;
using Sluice.Hosting.Docker;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>Images from a real registry that requires a password.</summary>
[Collection("docker")]
public sealed class RegistryTest(DockerDaemon daemon) : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-registry-").FullName;
    private readonly string registry = $"localhost:{FreePort.Find()}";

    private static string? WhyNot => DockerDaemon.WhyNot ?? (File.Exists("/usr/bin/docker-registry")
        ? null : "docker-registry is not installed (Debian: docker-registry)");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task A_missing_image_is_pulled_with_the_credentials_of_docker_login_and_the_pull_is_timed()
    {
        Require.Available(WhyNot);
        await using var server = await ServeAsync();
        await daemon.DockerAsync("login", "-u", "ann", "-p", "let-me-pull", registry);
        var image = $"{registry}/team/worker:1";
        await PushAsync(image);
        var template = new Template
        {
            Name = "t",
            Image = image,
            Command = ["/bin/sh", "-c", "exit 7"],
            Protocol = WorkerProtocol.Http1,
        };
        var deployment = new Deployment(new Endpoint { Id = "e", Template = "t" }, template);
        var order = new PodSpec(deployment, $"e-{Guid.NewGuid():N}"[..10]);
        using var stranger = HostOf("");
        var why = await Assert.ThrowsAnyAsync<InvalidOperationException>(
            () => stranger.StartAsync(order, _ => { }, CancellationToken.None));
        Assert.Contains($"no image {image} and could not pull it: ", why.Message, StringComparison.Ordinal);
        Assert.Contains("auth", why.Message, StringComparison.Ordinal);

        using var host = HostOf(Path.Combine(daemon.Environment["DOCKER_CONFIG"]!, "config.json"));
        var reports = new List<string>();
        var pod = await host.StartAsync(order, s => reports.Add(s.Text), CancellationToken.None);

        Assert.Equal("exit code 7", await pod.Exited);
        Assert.StartsWith($"pulling image {image}", reports[0], StringComparison.Ordinal);
        Assert.Equal(["pull", "create", "start"], pod.HostStages.Select(s => s.Name));
        await host.ForgetAsync(pod);
        await daemon.DockerAsync("rmi", image);
    }

    private DockerHost HostOf(string config)
    {
        var settings = new DockerSettings
        {
            Daemon = daemon.Address,
            Models = Repository.Models,
            RegistryConfig = config,
        };
        return new(settings, TestModels.Store(), new HostId("registry-test"), TimeProvider.System,
            NullLogger<DockerHost>.Instance);
    }

    private async Task<ChildProcess> ServeAsync()
    {
        // The bcrypt hash of the password, with the lowest cost.
        const string entry = "ann:$2b$04$Efi.0xRZzAcphML9qyQqjOmicuzz7BrKlNnhfdrxClTL.qYaB2ApW\n";
        await File.WriteAllTextAsync(Path.Combine(folder, "htpasswd"), entry);
        await File.WriteAllTextAsync(Path.Combine(folder, "config.yml"), $$"""
            version: 0.1
            storage: { filesystem: { rootdirectory: {{folder}}/images } }
            http: { addr: "127.0.0.1:{{registry.Split(':')[1]}}" }
            auth: { htpasswd: { realm: test, path: {{folder}}/htpasswd } }

            """);
        string[] arguments = ["serve", Path.Combine(folder, "config.yml")];
        var server = new ChildProcess("/usr/bin/docker-registry", arguments, new Dictionary<string, string?>());
        await server.LineAsync("listening on");
        return server;
    }

    /// <summary>Pushes an image with random content, so that the daemon must pull it.</summary>
    private async Task PushAsync(string image)
    {
        var random = Path.Combine(folder, "random");
        await File.WriteAllBytesAsync(random, RandomNumberGenerator.GetBytes(2 << 20));
        var dockerfile = $"FROM {LocalImages.Base}\nCOPY random /random\n";
        await File.WriteAllTextAsync(Path.Combine(folder, "Dockerfile"), dockerfile);
        await daemon.DockerAsync("build", "-q", "-t", image, folder);
        await daemon.DockerAsync("push", "-q", image);
        await daemon.DockerAsync("rmi", image);
        // BuildKit keeps its own copies of layers.
        await daemon.DockerAsync("builder", "prune", "-f");
    }
}
