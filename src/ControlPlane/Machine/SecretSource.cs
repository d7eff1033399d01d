using System.Text;
using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;
using Sluice.Hosting;

namespace Sluice.ControlPlane.Machine;

/// <summary>
/// The secrets of this machine: a file of the folder of secrets, or the environment variable whose name begins with
/// <c>SLUICE_SECRET_</c>. They are read at each start of a worker, so a changed secret needs no restart of the gateway.
/// </summary>
public sealed class SecretSource(ManifestOptions options)
{
    /// <summary>Maximum size of a secret, bytes: an environment variable has at most 128 KiB in Linux.</summary>
    private const int MaxBytes = 64 << 10;

    /// <summary>Returns the order with the values of its secrets instead of the references.</summary>
    /// <exception cref="InvalidOperationException">A secret does not exist or cannot be read.</exception>
    public PodSpec Resolve(PodSpec order)
    {
        var (template, endpoint) = (order.Deployment.Template, order.Deployment.Endpoint);
        if (!template.Env.Concat(endpoint.Env).Any(e => SecretReference.NamesIn(e.Value).Any())) return order;
        return order with
        {
            Deployment = new Deployment(
                endpoint with { Env = Resolve(endpoint.Env) }, template with { Env = Resolve(template.Env) }),
        };
    }

    private Dictionary<string, string> Resolve(IReadOnlyDictionary<string, string> env) =>
        env.ToDictionary(e => e.Key, e => SecretReference.Resolve(e.Value, Read));

    private string Read(string name)
    {
        if (!SecretReference.IsName(name))
            throw new InvalidOperationException($"the secret '{name}' has no valid name; expected "
                + SecretReference.NameForm);
        var variable = "SLUICE_SECRET_" + name.ToUpperInvariant().Replace('-', '_').Replace('.', '_');
        if (options.Variables?.Invoke(variable) is { Length: > 0 } value) return value;
        if (options.Secrets is not { } folder)
            throw new InvalidOperationException($"the secret '{name}' does not exist; expected the variable {variable} "
                + "of the gateway, or a file in the folder SLUICE_SECRETS");
        var path = Path.Combine(folder, name);
        try
        {
            using var file = File.OpenRead(path);
            var bytes = new byte[MaxBytes + 1];
            var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (length > MaxBytes)
                throw new InvalidOperationException($"the secret {path} has more than {MaxBytes} bytes");
            return Encoding.UTF8.GetString(bytes, 0, length).TrimEnd('\n', '\r');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOperationException(
                $"the secret '{name}' cannot be read: {e.Message} (or set the variable {variable} of the gateway)", e);
        }
    }
}
