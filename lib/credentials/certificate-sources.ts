import type { CertificateCredentialConfiguration } from '../configuration/configuration.ts'
import { Base64Certificate } from './base64-certificate.ts'
import { CertificateFile } from './certificate-file.ts'
import type { CertificateSource } from './certificate-source.ts'
import type { CredentialServices } from './create-credential.ts'
import { KeyVaultCertificate } from './key-vault-certificate.ts'

/** Where the certificate of a credential comes from. */
export function certificateSource (configuration: CertificateCredentialConfiguration, services: Pick<CredentialServices, 'managedIdentityToken' | 'identityDispatcher'>): CertificateSource {
  switch (configuration.sourceType) {
    case 'Path': return new CertificateFile(configuration.certificateDiskPath, configuration.certificatePassword)
    case 'Base64Encoded': return new Base64Certificate(configuration.base64EncodedValue, configuration.certificatePassword)
    case 'KeyVault': return new KeyVaultCertificate(configuration, services)
  }
}
