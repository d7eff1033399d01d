using System.Text;
using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;
using Sluice.Models.Sources;
using Sluice.Testing;

namespace Sluice.ControlPlane.Tests.Models;

/// <summary>Servers of models whose lists of files are not what their format says.</summary>
public sealed class HostileListTest : IDisposable
{
    private readonly ModelServer server = new();
    private readonly string folder = Directory.CreateTempSubdirectory("sluice-lists-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        server.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("""{"files":[{"path":"../out"}]}""", "a file '../out'")]
    [InlineData("""{"files":[{"path":"/etc/passwd"}]}""", "a file '/etc/passwd'")]
    [InlineData("""{"files":[{"path":"a","size":9223372036854775807}]}""", "as the size of 'a'")]
    [InlineData("""{"files":[{"path":"a","size":-1}]}""", "-1 as the size of 'a'")]
    [InlineData("""{"files":[{"path":"a"},{"path":"a"}]}""", "two files 'a'")]
    [InlineData("""{"files":[{"path":"a.part"},{"path":"a"}]}""", "two files 'a.part'")]
    [InlineData("""{"files":[{"path":"a"},{"path":"a.etag"}]}""", "two files 'a.etag'")]
    [InlineData("""{"files":[{"path":"a","size":"12"}]}""", "an invalid list of files")]
    [InlineData("""{"files":[null]}""", "a file without 'path'")]
    [InlineData("""{"files":[]}""", "is not a list of files")]
    [InlineData("[]", "is not a list of files")]
    public async Task A_list_of_files_is_not_trusted(string list, string expected)
    {
        server.Add("/list.json", Encoding.UTF8.GetBytes(list));
        await FailsAsync(server.Uri + "list.json", expected);
    }

    [Theory]
    [InlineData("""{"siblings":[{"rfilename":"../../out"}]}""", "a file '../../out'")]
    [InlineData("""{"siblings":[{"rfilename":null}]}""", "a file has no name")]
    [InlineData("""{"siblings":[{"name":"a"}]}""", "an invalid list of files")]
    [InlineData("""{"siblings":["a"]}""", "an invalid list of files")]
    [InlineData("""{"siblings":{}}""", "listed no files")]
    [InlineData("[]", "an invalid list of files")]
    public async Task A_repository_is_not_trusted(string list, string expected)
    {
        server.Add("/api/models/owner/name/revision/main", Encoding.UTF8.GetBytes(list));
        await FailsAsync("hf://owner/name", expected);
    }

    [Theory]
    [InlineData("<Contents><Key>m/../../out</Key><Size>1</Size></Contents>", "a file '../../out'")]
    [InlineData("<Contents><Size>1</Size></Contents>", "an object has no key")]
    [InlineData("<Contents><Key>m/a</Key><Size>x</Size></Contents>", "an invalid list of objects")]
    [InlineData("<Contents><Key>m/a</Key></Contents>", "an invalid list of objects")]
    [InlineData("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>", "has no last page")]
    public async Task A_bucket_is_not_trusted(string content, string expected)
    {
        server.Override = _ => (200, "", Encoding.UTF8.GetBytes($"<ListBucketResult>{content}</ListBucketResult>"));
        await FailsAsync("s3://bucket/m", expected);
    }

    [Theory]
    [InlineData("[]", "an invalid list of files")]
    [InlineData("{}", "has no layers")]
    [InlineData("""{"manifests":{}}""", "an invalid list of files")]
    [InlineData("""{"layers":[{"digest":"sha256:../../../out"}]}""", "expected a sha256 digest")]
    [InlineData("""{"layers":["a"]}""", "a sha256 digest")]
    public async Task A_registry_is_not_trusted(string manifest, string expected)
    {
        server.Add("/v2/owner/model/manifests/v1", Encoding.UTF8.GetBytes(manifest));
        await FailsAsync($"oci://{server.Uri.Authority}/owner/model:v1", expected);
    }

    [Fact]
    public async Task A_manifest_with_another_digest_is_an_error()
    {
        var named = $"sha256:{new string('0', 64)}";
        server.Add($"/v2/owner/model/manifests/{named}", """{"layers":[]}"""u8.ToArray());
        await FailsAsync($"oci://{server.Uri.Authority}/owner/model@{named}", $"expected {named}");
    }

    [Fact]
    public async Task A_challenge_with_a_field_twice_and_no_token_is_an_error()
    {
        server.Override = r => r.Path == "/token" ? (200, "", "{}"u8.ToArray())
            : (401, $"WWW-Authenticate: Bearer realm=\"{server.Uri}token\",service=\"a\",service=\"b\"\r\n", []);
        await FailsAsync($"oci://{server.Uri.Authority}/owner/model:v1", "sent no token");
        Assert.Contains(server.Requests, r => r.Query.Contains("service=a&", StringComparison.Ordinal));
    }

    private async Task FailsAsync(string source, string expected)
    {
        using var store = TestModels.Store(folder, server: server.Uri, s3: new S3Settings { Endpoint = server.Uri });
        var failure = await Assert.ThrowsAsync<ModelFailureException>(() => store.AcquireAsync(
            new ModelDeclaration { Source = source }, "m", _ => { }, Stop));
        Assert.Contains(expected, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(store.List(), m => m.Model is not null);
        Assert.False(Path.Exists(Path.Combine(folder, "..", "out")));
    }
}
