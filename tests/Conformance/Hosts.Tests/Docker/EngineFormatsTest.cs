using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Hosting.Docker;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>The formats that daemons and their clients write.</summary>
public sealed class EngineFormatsTest
{
    [Fact]
    public async Task A_log_line_may_span_frames_and_streams_are_read_separately()
    {
        byte[] frames =
            [.. Frame(1, "hel"), .. Frame(2, "warning\n"), .. Frame(1, "lo\nworld"), .. Frame(2, "no end")];
        using var stream = new MemoryStream(frames);
        var lines = new List<string>();
        await foreach (var line in new LogFrames(stream).LinesAsync(CancellationToken.None)) lines.Add(line);
        Assert.Equal(["warning", "hello", "world", "no end"], lines);
    }

    [Fact]
    public async Task A_line_without_an_end_is_truncated_and_the_next_line_is_read()
    {
        byte[] frames = [.. Frame(1, new string('a', 100_000)), .. Frame(1, new string('b', 10) + "\nnext\n")];
        using var stream = new MemoryStream(frames);
        var lines = new List<string>();
        await foreach (var line in new LogFrames(stream).LinesAsync(CancellationToken.None)) lines.Add(line);
        Assert.Equal(2, lines.Count);
        Assert.Equal(16 << 10, lines[0].Length);
        Assert.Equal("next", lines[1]);
    }

    [Theory]
    [InlineData("""{"usage":5000,"limit":9000,"stats":{"inactive_file":1000,"file":3}}""", 4000L, 9000L)]
    [InlineData("""{"usage":5000,"limit":18446744073709551615,"stats":{"total_inactive_file":1000}}""", 4000L,
        long.MaxValue)]
    [InlineData("""{"usage":500,"limit":9000,"stats":{"inactive_file":1000}}""", 500L, 9000L)]
    [InlineData("{}", null, null)]
    public void The_memory_of_a_container_is_that_without_the_file_cache(string memory, long? used, long? limit)
    {
        var reading = Stats("2026-11-30T12:00:00.123456789Z", memory).ToReading(0)!;
        Assert.Equal((used, limit), (reading.Memory, reading.MemoryLimit));
        Assert.Equal((TimeSpan.FromSeconds(2.5), 8), (reading.CpuTime, reading.CpuLimit));
        Assert.Equal(0.5, Stats("2026-11-30T12:00:00Z", memory).ToReading(0.5)!.CpuLimit);
    }

    [Fact]
    public void A_container_that_does_not_run_has_no_reading() =>
        Assert.Null(Stats("0001-01-01T00:00:00Z", "{}").ToReading(0));

    [Fact]
    public void A_pull_reports_its_progress_and_why_it_failed()
    {
        var pull = new ImagePull("vllm:1");
        Assert.Equal("pulling image vllm:1", pull.Description);
        pull.ReadLine("""{"status":"Pulling from library/vllm","id":"1"}""");
        pull.ReadLine("""{"status":"Pulling fs layer","progressDetail":{},"id":"a"}""");
        pull.ReadLine("""{"status":"Pulling fs layer","progressDetail":{},"id":"b"}""");
        pull.ReadLine("""{"status":"Downloading","progressDetail":{"current":3145728,"total":10485760},"id":"a"}""");
        Assert.Equal("pulling image vllm:1: 3 of 10 MiB, 0 of 2 layers", pull.Description);
        pull.ReadLine("""{"status":"Pull complete","progressDetail":{},"id":"a"}""");
        Assert.Equal("pulling image vllm:1: 10 of 10 MiB, 1 of 2 layers", pull.Description);
        Assert.Null(pull.Error);
        pull.ReadLine("""{"errorDetail":{"message":"no space left on device"},"error":"no space left on device"}""");
        Assert.Equal("no space left on device", pull.Error);
    }

    [Fact]
    public async Task A_daemon_that_does_not_run_is_reported_with_its_address()
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
    [InlineData("localhost/a/b:2@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "localhost/a/b",
        "sha256:0000000000000000000000000000000000000000000000000000000000000000", "localhost")]
    public void An_image_name_has_a_registry_a_repository_and_a_tag_or_digest(
        string text,
        string repository,
        string tag,
        string registry)
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
    public void Texts_that_are_not_images_are_rejected(string text) => Assert.False(ImageName.IsImage(text));

    [Fact]
    public void Credentials_are_read_from_the_file_of_docker_login()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, """{"auths":{"host.example:5000":{"auth":"YW5uOnBhc3M6d29yZA=="}}}""");
        var found = RegistryCredentials.Find(file, ImageName.Parse("host.example:5000/vllm"))!;
        var decoded = Convert.FromBase64String(found.Replace('-', '+').Replace('_', '/'));
        var auth = JsonNode.Parse(Encoding.UTF8.GetString(decoded))!;
        Assert.Equal("ann", (string?)auth["username"]);
        Assert.Equal("pass:word", (string?)auth["password"]);
        Assert.Equal("host.example:5000", (string?)auth["serveraddress"]);
        Assert.Null(RegistryCredentials.Find(file, ImageName.Parse("vllm")));
        File.WriteAllText(file, "not JSON");
        var e = Assert.Throws<InvalidOperationException>(() => RegistryCredentials.Find(file, ImageName.Parse("vllm")));
        Assert.Contains("SLUICE_DOCKER_CONFIG", e.Message, StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public void Start_failures_are_explained_and_end_with_the_daemons_message()
    {
        const string message = "could not select device driver \"nvidia\" with capabilities: [[gpu]]";
        var settings = new DockerSettings();
        var explanation = StartFailure.Explain(message, "i", settings);
        Assert.Contains("NVIDIA Container Toolkit", explanation, StringComparison.Ordinal);
        Assert.EndsWith(message, explanation, StringComparison.Ordinal);
        var network = StartFailure.Explain("network pods not found", "i", settings);
        Assert.Contains("SLUICE_DOCKER_NETWORK", network, StringComparison.Ordinal);
        Assert.Equal("something new", StartFailure.Explain("something new", "i", settings));
    }

    private static ContainerStats Stats(string read, string memory) => JsonSerializer.Deserialize(
        $$"""
        {
          "read": "{{read}}", "pids_stats": {}, "memory_stats": {{memory}},
          "cpu_stats": { "cpu_usage": { "total_usage": 2500000000, "percpu_usage": [1] }, "online_cpus": 8 }
        }
        """, EngineJson.Default.ContainerStats)!;

    private static byte[] Frame(byte stream, string text)
    {
        var body = Encoding.UTF8.GetBytes(text);
        var head = new byte[] { stream, 0, 0, 0, 0, 0, 0, 0 };
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(4), body.Length);
        return [.. head, .. body];
    }
}
