using Sluice.Gateway.Startup;

namespace Sluice.Gateway.Tests;

/// <summary>The settings of delivered models.</summary>
public sealed class ModelSettingsTest
{
    [Fact]
    public void The_defaults_are_the_public_servers_and_a_folder_in_the_data()
    {
        var read = Read([]);
        Assert.Equal(("/data/models", 100L << 30), (read.Store.Folder, read.Store.MaxBytes));
        Assert.Equal(TimeSpan.FromHours(24), read.Uploads.KeepIncomplete);
        Assert.Equal("https://huggingface.co/", read.Sources.HuggingFace.ToString());
        Assert.Equal("https://s3.us-east-1.amazonaws.com/", read.Sources.S3.Server.ToString());
    }

    [Fact]
    public void A_secret_is_read_from_a_file_without_its_line_end()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, "hf_token\n");
        Assert.Equal("hf_token", Read(new() { ["SLUICE_HF_TOKEN_FILE"] = file }).Sources.HuggingFaceToken);
        File.Delete(file);
    }

    [Theory]
    [InlineData("SLUICE_MODEL_STORE_MIB", "0", "a number from 1 to 1073741824")]
    [InlineData("SLUICE_MODEL_UPLOAD_KEEP_HOURS", "0", "a number from 1 to 8760")]
    [InlineData("SLUICE_MODEL_UPLOAD_KEEP_HOURS", "8761", "a number from 1 to 8760")]
    [InlineData("SLUICE_HF_ENDPOINT", "ftp://x", "an address like https://models.example.com")]
    [InlineData("SLUICE_S3_ENDPOINT", "x", "an address like https://models.example.com")]
    [InlineData("SLUICE_HF_TOKEN_FILE", "/nowhere", "a file that can be read")]
    public void An_invalid_value_names_the_variable_and_the_rule(string name, string value, string expected)
    {
        var e = Assert.Throws<InvalidOperationException>(() => Read(new() { [name] = value }));
        Assert.StartsWith($"{name} is '{value}'; expected {expected}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_has_one_place() => Assert.Contains("SLUICE_HF_TOKEN and SLUICE_HF_TOKEN_FILE are set",
        Assert.Throws<InvalidOperationException>(
            () => Read(new() { ["SLUICE_HF_TOKEN"] = "a", ["SLUICE_HF_TOKEN_FILE"] = "b" })).Message,
        StringComparison.Ordinal);

    private static ModelSettings Read(Dictionary<string, string> env) =>
        ModelSettings.Read(env.GetValueOrDefault, "/data");
}
