using Sluice.Domain.Declarations;
using Sluice.Domain.Fleet;

namespace Sluice.Domain.Tests.Declarations;

/// <summary>The model of an endpoint: its source, its rules, and when its workers are replaced.</summary>
public sealed class ModelSourceTest
{
    [Theory]
    [InlineData("/srv/models/a", ModelSourceKind.Folder, "/srv/models/a", "")]
    [InlineData("/srv/a/", ModelSourceKind.Folder, "/srv/a", "")]
    [InlineData("hf://owner/name", ModelSourceKind.HuggingFace, "owner/name", "main")]
    [InlineData("hf://owner/na.me-1@refs/pr/1", ModelSourceKind.HuggingFace, "owner/na.me-1", "refs/pr/1")]
    [InlineData("s3://bucket/a/b/", ModelSourceKind.S3, "bucket/a/b", "")]
    [InlineData("path:/mnt/models/a/", ModelSourceKind.Folder, "/mnt/models/a", "")]
    [InlineData("oci://reg:5000/a/b:v1", ModelSourceKind.Image, "reg:5000/a/b:v1", "")]
    [InlineData("model://my_Model/1", ModelSourceKind.Uploaded, "my_Model/1", "")]
    [InlineData("https://host/a.onnx", ModelSourceKind.Http, "https://host/a.onnx", "")]
    public void A_source_is_parsed(string text, ModelSourceKind kind, string location, string revision) =>
        Assert.Equal(new ModelSource(kind, location, revision), ModelSource.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/a/../b")]
    [InlineData("models/a")]
    [InlineData("hf://name")]
    [InlineData("hf://owner/name/x")]
    [InlineData("hf://../name")]
    [InlineData("hf://owner/name@")]
    [InlineData("s3://B/a")]
    [InlineData("path:mnt/a")]
    [InlineData("path:/mnt/../a")]
    [InlineData("path:///mnt/a")]
    [InlineData("path:/")]
    [InlineData("oci://name")]
    [InlineData("oci://reg/Name")]
    [InlineData("model://a")]
    [InlineData("model://../1")]
    [InlineData("model://a/1/2")]
    [InlineData("ftp://host/a")]
    [InlineData("https://user:secret@host/a")]
    [InlineData("https://host/")]
    [InlineData("https://host/a b")]
    public void Other_texts_are_no_source(string text) => Assert.Null(ModelSource.Parse(text));

    [Theory]
    [InlineData("ftp://x/y", "", "", "", "model.source")]
    [InlineData("https://h/m", "ABC", "", "", "model.sha256")]
    [InlineData("hf://o/n", "0000000000000000000000000000000000000000000000000000000000000000", "", "", "model.sha256")]
    [InlineData("hf://o/n", "", "../x", "", "model.files[0]")]
    [InlineData("hf://o/n", "", "/x", "", "model.files[0]")]
    [InlineData("hf://o/n", "", "", "a,b", "models")]
    public void An_invalid_model_names_its_field(string source, string hash, string file, string models, string field)
    {
        var endpoint = Endpoint(new ModelDeclaration
        {
            Source = source, Sha256 = hash, Files = file.Length > 0 ? [file] : [],
        }) with { Models = models.Split(',', StringSplitOptions.RemoveEmptyEntries) };
        Assert.Equal(field, Assert.Single(EndpointRules.Check(endpoint, "", ["t"], [])).Field);
    }

    [Fact]
    public void Workers_are_replaced_when_the_model_changes_and_not_when_an_endpoint_has_none()
    {
        var template = new Template { Name = "t" };
        string Print(ModelDeclaration? model) => PodFingerprint.Compute(new Deployment(Endpoint(model), template));
        var model = new ModelDeclaration { Source = "hf://o/n" };
        Assert.Equal(Print(model), Print(new ModelDeclaration { Source = "hf://o/n", Files = [] }));
        ModelDeclaration?[] others = [null, model with { Source = "hf://o/n@v2" }, model with { Files = ["a"] }];
        Assert.Distinct(others.Select(Print).Append(Print(model)));
    }

    private static Endpoint Endpoint(ModelDeclaration? model) => new() { Id = "e", Template = "t", Model = model };
}
