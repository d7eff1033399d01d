using System.IO.Compression;
using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Uploads of models by admins, with the inspector and the workers of the published build.</summary>
[Trait("Needs", "publish")]
public sealed class ModelUploadTest : IDisposable
{
    private const string Manifest = "templates: [{ name: onnx }]\nendpoints: []";

    private static byte[] Digits => ModelUploader.Digits;

    private readonly ModelUploader uploader = new();

    private string Folder => uploader.Folder;

    public void Dispose() => uploader.Dispose();

    [Fact]
    public async Task An_uploaded_model_is_served_from_every_gateway_and_deleted_only_when_it_is_not_used()
    {
        await using var gateway = await InProcessGateway.StartAsync(Manifest, uploader.Settings());
        await using var other = await gateway.StartAnotherAsync();
        Assert.Equal(HttpStatusCode.Created, (await ModelUploader.PutAsync(gateway, "digits/7", Digits)).Status);
        var listed = (await other.GetAsync("/api/v1/models"))["models"]!.AsArray();
        Assert.Equal(("digits", "7", "ready"), ((string?)listed[0]!["name"],
            (string?)listed[0]!["versions"]![0]!["version"], (string?)listed[0]!["versions"]![0]!["state"]));

        using var declaration = new StringContent(
            """{"id":"digits","template":"onnx","model":{"source":"model://digits/7"},"scaling":{"max":1}}""");
        using var declared = await other.Client.PostAsync(new Uri("/api/v1/endpoints", UriKind.Relative), declaration);
        Assert.Equal(HttpStatusCode.Created, declared.StatusCode);
        using var body = new StringContent(RunningGateway.Example("digits"), Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        // The number of the upload is also the version of the protocol.
        Assert.Equal("7", (string?)(await gateway.GetAsync("/v2/models/digits"))["versions"]![0]);

        var refused = await ModelUploader.SendAsync(gateway, HttpMethod.Delete, "digits/7");
        Assert.Equal(HttpStatusCode.Conflict, refused.Status);
        Assert.Contains("is used by digits", refused.Text, StringComparison.Ordinal);
        using var removed = await gateway.Client.DeleteAsync(new Uri("/api/v1/endpoints/digits", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        // The worker uses the version until it has stopped.
        var deleted = await Eventually.BecomesAsync(
            () => ModelUploader.SendAsync(other, HttpMethod.Delete, "digits/7"),
            a => !a.Text.Contains("is used by a worker", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.NoContent, deleted.Status);
        var gone = await ModelUploader.SendAsync(gateway, HttpMethod.Get, "digits/7");
        Assert.Equal(HttpStatusCode.NotFound, gone.Status);
    }

    [Fact]
    public async Task An_upload_in_parts_continues_after_the_bytes_that_were_received()
    {
        await using var gateway = await InProcessGateway.StartAsync(Manifest, uploader.Settings());
        const int part = 500_000;
        var first = await ModelUploader.PutAsync(gateway, "m/1", Digits[..part], (0, part - 1, Digits.Length));
        Assert.Equal((HttpStatusCode.Accepted, "bytes=0-499999"), (first.Status, first.Range));
        Assert.Equal(("uploading", part), await ModelUploader.StateAsync(gateway));
        Assert.Empty((await gateway.GetAsync("/api/v1/models"))["models"]!.AsArray());

        // A part that was received already replaces it, and what comes after it.
        var again = await ModelUploader.PutAsync(gateway, "m/1", Digits[1000..part], (1000, part - 1, Digits.Length));
        Assert.Equal((HttpStatusCode.Accepted, "bytes=0-499999"), (again.Status, again.Range));

        // A part that would leave a gap is refused, and the answer has the bytes that were received.
        var gap = await ModelUploader.PutAsync(
            gateway, "m/1", Digits[600_000..], (600_000, Digits.Length - 1, Digits.Length));
        Assert.Equal((HttpStatusCode.Conflict, "bytes=0-499999"), (gap.Status, gap.Range));

        // The length of a body must be that of its range. What was received before is kept.
        foreach (var length in new[] { 999, 1001 })
        {
            var wrong = await ModelUploader.PutAsync(
                gateway, "m/1", Digits[..length], (part, part + 999, Digits.Length));
            Assert.Equal((HttpStatusCode.BadRequest, "bytes=0-499999"), (wrong.Status, wrong.Range));
            Assert.Contains("expected 1000 bytes", wrong.Text, StringComparison.Ordinal);
            Assert.Equal(("uploading", part), await ModelUploader.StateAsync(gateway));
        }

        // The connection of the second part is cut.
        using (await ModelUploader.BeginAsync(
            gateway, Digits[part..1_000_000], (part, Digits.Length - 1, Digits.Length)))
        {
            // The gateway has these bytes now.
        }

        // The rest is sent to another gateway.
        await using var other = await gateway.StartAnotherAsync();
        var last = await ModelUploader.EventuallyPutAsync(
            other, Digits[1_000_000..], (1_000_000, Digits.Length - 1, Digits.Length));
        Assert.Equal(HttpStatusCode.Created, last.Status);
        Assert.Equal(("ready", Digits.Length), await ModelUploader.StateAsync(gateway));
        Assert.Equal(Digits, await File.ReadAllBytesAsync(Path.Combine(Folder, "m/1/files/1/model.onnx")));
    }

    [Fact]
    public async Task What_the_inspector_rejects_is_never_visible()
    {
        await using var gateway = await InProcessGateway.StartAsync(Manifest, uploader.Settings());
        var page = await ModelUploader.PutAsync(gateway, "m/1", "<html>not a model</html>"u8.ToArray());
        Assert.Equal(HttpStatusCode.UnprocessableEntity, page.Status);
        Assert.Contains("it is not an ONNX model", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(Folder, page.Text, StringComparison.Ordinal);
        var hostile = await ModelUploader.PutAsync(gateway, "m/1", ModelUploader.Tar(("../out", Digits)));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, hostile.Status);
        var without = await ModelUploader.PutAsync(gateway, "m/1", ModelUploader.Tar(("readme.txt", "x"u8.ToArray())));
        Assert.Contains("contains readme.txt", without.Text, StringComparison.Ordinal);
        var hash = await ModelUploader.PutAsync(gateway, $"m/1?sha256={new string('0', 64)}", Digits);
        Assert.Contains("expected 0000", hash.Text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await ModelUploader.SendAsync(gateway, HttpMethod.Get, "m/1")).Status);
        Assert.Empty(uploader.Stored());

        // Files for another program than the built-in worker are not models of ONNX.
        var other = await ModelUploader.PutAsync(
            gateway, "m/1?inspect=false", ModelUploader.Tar(("weights.bin", "x"u8.ToArray())));
        Assert.Equal(HttpStatusCode.Created, other.Status);
        var again = await ModelUploader.PutAsync(gateway, "m/1", Digits);
        Assert.Equal(HttpStatusCode.Conflict, again.Status);
    }

    [Fact]
    public async Task Limits_and_a_full_disk_are_reported_and_leave_nothing()
    {
        Require.Available(SmallDisk.WhyNot);
        using var disk = new SmallDisk("2m");
        var settings = uploader.Settings();
        (settings["SLUICE_MODEL_UPLOADS"], settings["SLUICE_MODEL_UPLOAD_MIB"]) = (disk.Folder, "1");
        await using (var gateway = await InProcessGateway.StartAsync(Manifest, settings))
        {
            var refused = await ModelUploader.PutAsync(gateway, "m/1", Digits);
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.Status);
            var bomb = await ModelUploader.PutAsync(gateway, "m/1", Zip(4 << 20));
            Assert.Equal(HttpStatusCode.UnprocessableEntity, bomb.Status);
            Assert.Contains("more than 1048576 bytes", bomb.Text, StringComparison.Ordinal);
        }

        settings["SLUICE_MODEL_UPLOAD_MIB"] = "100";
        await using (var gateway = await InProcessGateway.StartAsync(Manifest, settings))
        {
            var full = await ModelUploader.PutAsync(gateway, "m/1", ModelServer.Content(4 << 20));
            Assert.Equal(HttpStatusCode.InsufficientStorage, full.Status);
            Assert.Contains("SLUICE_MODEL_UPLOADS is full", full.Text, StringComparison.Ordinal);
            var unpacked = await ModelUploader.PutAsync(gateway, "m/1", Zip(4 << 20));
            Assert.Equal(HttpStatusCode.InsufficientStorage, unpacked.Status);
            Assert.Empty(Directory.EnumerateDirectories(Path.Combine(disk.Folder, ".incoming")));
            Assert.Equal(HttpStatusCode.Created, (await ModelUploader.PutAsync(gateway, "m/1", Digits)).Status);
        }
    }

    /// <summary>A small archive whose file has many zeros.</summary>
    private static byte[] Zip(int size)
    {
        var bytes = new MemoryStream();
        using (var zip = new GZipStream(bytes, CompressionLevel.Fastest))
            zip.Write(ModelUploader.Tar(("1/model.onnx", new byte[size])));
        return bytes.ToArray();
    }
}
