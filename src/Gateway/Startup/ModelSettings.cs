using System.Globalization;
using Sluice.Models.Cache;
using Sluice.Models.Sources;
using Sluice.Models.Uploads;

namespace Sluice.Gateway.Startup;

/// <summary>The settings of models that are delivered to this node.</summary>
/// <param name="Store">Where they are stored.</param>
/// <param name="Sources">From where they come.</param>
/// <param name="Uploads">Where uploaded models are stored.</param>
public sealed record ModelSettings(ModelStoreSettings Store, SourceSettings Sources, UploadSettings Uploads)
{
    /// <summary>Default limit of the store, and the largest one, MiB.</summary>
    private const int DefaultMiB = 100 << 10, MaxMiB = 1 << 30;

    /// <summary>How long an incomplete upload is kept by default, and at most, hours.</summary>
    private const int DefaultKeep = 24, MaxKeep = 8760;

    /// <summary>Largest size of a file with a secret, bytes.</summary>
    private const int MaxSecret = 64 << 10;

    /// <summary>Reads the settings from environment variables.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <param name="data">The folder with the state of the gateway.</param>
    /// <exception cref="InvalidOperationException">A variable has an invalid value. The message contains name, value
    /// and rule.</exception>
    public static ModelSettings Read(Func<string, string?> env, string data)
    {
        var sources = new SourceSettings();
        return new ModelSettings(
            new ModelStoreSettings(
                Path.GetFullPath(Text("SLUICE_MODEL_STORE") ?? Path.Combine(data, "models")),
                (long)Limit("SLUICE_MODEL_STORE_MIB", DefaultMiB, MaxMiB) << 20),
            sources with
            {
                HuggingFace = Address("SLUICE_HF_ENDPOINT") ?? sources.HuggingFace,
                HuggingFaceToken = Secret("SLUICE_HF_TOKEN", Text("SLUICE_HF_TOKEN"), Text("SLUICE_HF_TOKEN_FILE")),
                S3 = new S3Settings
                {
                    Endpoint = Address("SLUICE_S3_ENDPOINT"),
                    Region = Text("SLUICE_S3_REGION") ?? sources.S3.Region,
                    AccessKeyId = Text("SLUICE_S3_ACCESS_KEY_ID") ?? "",
                    SecretAccessKey = Secret("SLUICE_S3_SECRET_ACCESS_KEY", Text("SLUICE_S3_SECRET_ACCESS_KEY"),
                        Text("SLUICE_S3_SECRET_ACCESS_KEY_FILE")),
                    SessionToken = Text("SLUICE_S3_SESSION_TOKEN") ?? "",
                },
                Oci = new OciSettings
                {
                    Registry = Text("SLUICE_OCI_REGISTRY") ?? "",
                    User = Text("SLUICE_OCI_USER") ?? "",
                    Password = Secret(
                        "SLUICE_OCI_PASSWORD", Text("SLUICE_OCI_PASSWORD"), Text("SLUICE_OCI_PASSWORD_FILE")),
                },
            },
            new UploadSettings(
                Path.GetFullPath(Text("SLUICE_MODEL_UPLOADS") ?? Path.Combine(data, "uploads")),
                (long)Limit("SLUICE_MODEL_UPLOAD_MIB", DefaultMiB, MaxMiB) << 20)
            {
                KeepIncomplete = TimeSpan.FromHours(Limit("SLUICE_MODEL_UPLOAD_KEEP_HOURS", DefaultKeep, MaxKeep)),
            });

        string? Text(string name) => env(name) is { Length: > 0 } text ? text : null;
        int Limit(string name, int normal, int most) => Text(name) is not { } text ? normal
            : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 && n <= most
                ? n : throw Invalid(name, text, $"a number from 1 to {most}");
        Uri? Address(string name) => Text(name) is not { } text ? null
            : Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
                && uri.UserInfo.Length == 0 && uri.Query.Length == 0
                ? new Uri(text.EndsWith('/') ? text : text + "/")
                : throw Invalid(name, text, "an address like https://models.example.com");
    }

    /// <summary>Returns a secret: its text, or the content of the file that an orchestrator mounts.</summary>
    private static string Secret(string name, string? text, string? file)
    {
        if (text is not null && file is not null)
            throw new InvalidOperationException($"{name} and {name}_FILE are set; expected one of them.");
        if (file is null) return text ?? "";
        try
        {
            if (new FileInfo(file).Length <= MaxSecret) return File.ReadAllText(file).Trim();
            throw Invalid(name + "_FILE", file, $"a file of at most {MaxSecret} bytes");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Invalid(name + "_FILE", file, $"a file that can be read ({e.Message})");
        }
    }

    private static InvalidOperationException Invalid(string name, string value, string expected) =>
        new($"{name} is '{value}'; expected {expected}.");
}
