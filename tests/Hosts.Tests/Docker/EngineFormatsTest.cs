using System.Text;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;
using Sluice.Core.Workers.Docker;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>What daemons and their clients write, read.</summary>
public sealed class EngineFormatsTest
{
    [Fact]
    public async Task A_log_line_may_span_frames_and_streams_do_not_mix()
    {
        using var stream = new MemoryStream([.. Frame(1, "hel"), .. Frame(2, "warning\n"), .. Frame(1, "lo\nworld"), .. Frame(2, "no end")]);
        var lines = new List<string>();
        await foreach (var line in new LogFrames(stream).LinesAsync(CancellationToken.None)) lines.Add(line);
        Assert.Equal(["warning", "hello", "world", "no end"], lines);
    }

    [Fact]
    public async Task An_endless_line_is_cut_and_what_follows_it_is_read()
    {
        using var stream = new MemoryStream([.. Frame(1, new string('a', 100_000)), .. Frame(1, new string('b', 10) + "\nnext\n")]);
        var lines = new List<string>();
        await foreach (var line in new LogFrames(stream).LinesAsync(CancellationToken.None)) lines.Add(line);
        Assert.Equal(2, lines.Count);
        Assert.Equal(16 << 10, lines[0].Length);
        Assert.Equal("next", lines[1]);
    }

    [Fact]
    public void A_pull_tells_how_far_it_is_and_why_it_failed()
    {
        var pull = new ImagePull("vllm:1");
        Assert.Equal("pulling image vllm:1", pull.Description);
        pull.ReadLine("""{"status":"Pulling from library/vllm","id":"1"}""");
        pull.ReadLine("""{"status":"Pulling fs layer","progressDetail":{},"id":"a"}""");
        pull.ReadLine("""{"status":"Pulling fs layer","progressDetail":{},"id":"b"}""");
        pull.ReadLine("""{"status":"Downloading","progressDetail":{"current":3145728,"total":10485760},"progress":"[=>]","id":"a"}""");
        Assert.Equal("pulling image vllm:1: 3 of 10 MiB, 0 of 2 layers", pull.Description);
        pull.ReadLine("""{"status":"Pull complete","progressDetail":{},"id":"a"}""");
        Assert.Equal("pulling image vllm:1: 10 of 10 MiB, 1 of 2 layers", pull.Description);
        Assert.Null(pull.Error);
        pull.ReadLine("""{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}""");
        Assert.Equal("no space left on device", pull.Error);
    }

    [Fact]
    public async Task A_daemon_that_is_not_there_is_named()
    {
        using var engine = new EngineClient(new Uri("unix:///no/such/docker.sock"), TimeProvider.System);
        var e = await Assert.ThrowsAsync<EngineException>(() => engine.ImageIdAsync("vllm", CancellationToken.None));
        Assert.True(e.IsDown);
        Assert.StartsWith("no Docker daemon answers at /no/such/docker.sock (", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vllm", "vllm", "latest", "https://index.docker.io/v1/")]
    [InlineData("org/vllm:v1", "org/vllm", "v1", "https://index.docker.io/v1/")]
    [InlineData("host.example:5000/vllm", "host.example:5000/vllm", "latest", "host.example:5000")]
    [InlineData("localhost/a/b:2@sha256:0000000000000000000000000000000000000000000000000000000000000000", "localhost/a/b",
        "sha256:0000000000000000000000000000000000000000000000000000000000000000", "localhost")]
    public void An_images_name_has_registry_repository_and_tag_or_digest(string text, string repository, string tag, string registry)
    {
        Assert.True(ImageName.IsImage(text));
        var name = ImageName.Parse(text);
        Assert.Equal((repository, tag, registry), (name.Repository, name.Tag, name.Registry));
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("-option")]
    [InlineData("a/../b")]
    [InlineData("a@sha256:12")]
    [InlineData("http://host/image")]
    public void What_is_no_image_is_refused(string text) => Assert.False(ImageName.IsImage(text));

    [Fact]
    public void Credentials_come_from_what_docker_login_writes()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, """{"auths":{"host.example:5000":{"auth":"YW5uOnBhc3M6d29yZA=="}}}""");
        var found = RegistryCredentials.Find(file, ImageName.Parse("host.example:5000/vllm"))!;
        var told = JsonNode.Parse(Encoding.UTF8.GetString(Convert.FromBase64String(found.Replace('-', '+').Replace('_', '/'))))!;
        Assert.Equal(("ann", "pass:word", "host.example:5000"), ((string?)told["username"], (string?)told["password"], (string?)told["serveraddress"]));
        Assert.Null(RegistryCredentials.Find(file, ImageName.Parse("vllm")));
        File.WriteAllText(file, "not JSON");
        var e = Assert.Throws<InvalidOperationException>(() => RegistryCredentials.Find(file, ImageName.Parse("vllm")));
        Assert.Contains("SLUICE_DOCKER_CONFIG", e.Message, StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public void Failures_of_a_start_say_what_would_help_and_keep_the_daemons_words()
    {
        const string said = "could not select device driver \"nvidia\" with capabilities: [[gpu]]";
        var told = StartFailure.Explain(said, "i", new DockerSettings());
        Assert.Contains("NVIDIA container toolkit", told, StringComparison.Ordinal);
        Assert.EndsWith(said, told, StringComparison.Ordinal);
        Assert.Contains("SLUICE_DOCKER_NETWORK", StartFailure.Explain("network pods not found", "i", new DockerSettings()), StringComparison.Ordinal);
        Assert.Equal("something new", StartFailure.Explain("something new", "i", new DockerSettings()));
    }

    private static byte[] Frame(byte stream, string text)
    {
        var body = Encoding.UTF8.GetBytes(text);
        return [stream, 0, 0, 0, (byte)(body.Length >> 24), (byte)(body.Length >> 16), (byte)(body.Length >> 8), (byte)body.Length, .. body];
    }
}
